// The app: it knows what is open, reads from the program what there is, and shows it.
import { call, inPage, inSpace, listen, localURL } from './api.js'
import { act, ask, h, show, toast, unpressed } from './dom.js'
import { Editor } from './editor.js'
import { activity, members, sync } from './panel.js'
import { People } from './people.js'
import { openSession } from './session.js'
import { icon } from './icon.js'
import { emptySpace, emptyTrash, spaces, tree, welcome, you } from './side.js'

export const app = {
  overview: undefined, // of all spaces
  space: undefined, // the one that is shown
  pages: { Tree: [], Trash: [] },
  members: [],
  events: [], // the latest first
  page: undefined, // the ID of the one that is shown
}

const at = (id) => document.getElementById(id)
export const mayWrite = () => ['owner', 'editor'].includes(app.space?.Role)
export const go = (space, page = '') => (location.hash = `#/${encodeURIComponent(space)}/${encodeURIComponent(page)}`)
const route = () => location.hash.slice(2).split('/').map(decodeURIComponent)

// Pages in the order in which they are shown.
export function flat(nodes = app.pages.Tree) {
  return (nodes ?? []).flatMap((node) => [node, ...flat(node.Children ?? [])])
}

export const actions = {
  createSpace: act(async () => {
    const name = await ask('A new space', 'Name of the space', 'Create')
    if (name) go((await call('POST', 'spaces', { Name: name })).ID)
  }),
  join: act(async () => {
    const ticket = await ask('Join a space', 'Ticket that somebody gave you', 'Join')
    if (ticket) go((await call('POST', 'join', { Ticket: ticket })).ID)
    await refresh()
  }),
  createPage: act(async (parent = '') => {
    const page = await call('POST', inSpace(app.space.ID, 'pages'), { Title: 'Untitled', Parent: parent })
    go(app.space.ID, page.ID)
    await refresh()
    at('title')?.focus()
    at('title')?.select()
  }),
  move: (page, place) => act(() => call('PUT', inPage(app.space.ID, page, '/place'), place))(),
  trash: (page) => act(() => call('DELETE', inPage(app.space.ID, page)))(),
  restore: (page) => act(() => call('POST', inPage(app.space.ID, page, '/restore')))(),
  rename(name) {
    localStorage.setItem('name', name)
    introduce(true)
    render()
  },
  toggle(drawer) {
    document.body.dataset.drawer = document.body.dataset.drawer === drawer ? '' : drawer
  },
}

// Reads everything again, from now on: calls that come meanwhile share one more reading.
let reading = Promise.resolve()
let next
export function refresh() {
  return (next ??= reading.then(() => {
    next = undefined
    return (reading = load())
  }))
}

const load = act(async () => {
  app.overview = await call('GET', 'overview')
  const [id] = route()
  const space = app.overview.Spaces.find((space) => space.ID === id) ?? (id ? undefined : app.overview.Spaces[0])
  if (space && !id) return go(space.ID)
  if (space) {
    ;[app.pages, app.members] = await Promise.all([call('GET', inSpace(space.ID, 'pages')), call('GET', inSpace(space.ID, 'members'))])
  }
  if (space?.ID !== app.space?.ID) {
    people?.close()
    people = space && new People(space.ID, app.overview.Peer, () => render(), () => (introduce(), render()))
    app.events = []
  } else if (space?.Role !== app.space?.Role) {
    session?.reconnect()
    people.reconnect()
  }
  app.space = space
  openPage()
  render()
})

let people, session, editor

function introduce(chosen = false) {
  people?.introduce(mayWrite(), chosen)
  if (people) session?.provider.setAwarenessField('user', people.me)
}

// Opens the page that the address names, or else the first one.
function openPage(afresh = false) {
  const [, wanted] = route()
  const pages = app.space ? flat() : []
  const page = (pages.find(({ ID }) => ID === wanted) ?? app.pages.Trash?.find(({ ID }) => ID === wanted) ?? pages[0])?.ID
  if (page === app.page && !afresh && session?.key === `${app.space?.ID}/${page}`) return
  editor?.close()
  session?.release()
  app.page = page
  editor = session = undefined
  show(at('page'))
  if (!page) return
  session = openSession(app.space.ID, page, (what) => (what === 'rebuilt' ? openPage(true) : status()))
  session.provider.setAwarenessField('user', people.me)
  editor = new Editor(session, app.space.ID, () => mayWrite() && !session?.readOnly && !current()?.Trashed)
  const path = inPage(app.space.ID, page, '/title')
  const rename = act(async () => {
    const { value } = title
    if (!title.dataset.typed) return
    await call('PUT', path, { Title: value })
    if (title.value === value) delete title.dataset.typed
    status()
  })
  let soon
  const title = h('input', {
    id: 'title', 'aria-label': 'Title of the page', placeholder: 'Untitled', autocomplete: 'off', maxLength: 300, onchange: rename,
    oninput() {
      title.dataset.typed = 'true'
      clearTimeout(soon)
      soon = setTimeout(rename, 300)
      status()
    },
    onkeydown(event) {
      if (event.key !== 'Enter') return
      event.preventDefault()
      title.blur()
      editor.view.focus()
    },
  })
  show(at('page'), editor.toolbar, h('div', { id: 'notes' }), h('article', {}, title, editor.dom))
  document.body.dataset.drawer = ''
  void offer(session)
}

const current = () => flat().find(({ ID }) => ID === app.page) ?? app.pages.Trash?.find(({ ID }) => ID === app.page)

// Offers what was typed and never stored.
async function offer(of) {
  if (!of.provider.isSynced) await new Promise((resolve) => of.provider.on('synced', resolve))
  if (of !== session) return
  try {
    const found = await of.draft.find()
    if (!found || of !== session) return
    const done = (fn) => act(async () => {
      await fn()
      note.remove()
    })
    const note = h('div', { className: 'note', role: 'alert' },
      h('p', {}, h('strong', {}, 'Something you wrote was not saved: '), h('q', {}, found.text.slice(0, 200) || 'a deletion')),
      h('div', { className: 'row' },
        h('button', { className: 'primary', onclick: done(() => of.draft.restore(found)) }, 'Restore'),
        h('button', { onclick: done(() => navigator.clipboard.writeText(found.text)) }, 'Copy'),
        h('button', { onclick: done(() => of.draft.discard()) }, 'Discard')))
    at('notes').append(note)
  } catch (err) {
    toast(err.message)
  }
}

const words = {
  saved: ['Saved', 'ok'], saving: ['Saving…', 'busy'], loading: ['Loading…', 'busy'],
  offline: ['Not connected: kept as a draft', 'bad'],
}

// How what was typed stands, and the colour for it.
function mood() {
  if (session && (session.readOnly || !mayWrite())) return ['Read only', 'idle']
  const typed = session?.state === 'saved' && at('title')?.dataset.typed
  return words[typed ? 'saving' : session?.state] ?? ['', 'idle']
}

// Shows what changes with each key.
function status() {
  const [text, colour] = mood()
  const element = at('status')
  if (element && element.textContent !== text) element.textContent = text
  if (element) element.dataset.mood = colour
  editor?.refresh()
}

const render = unpressed(() => {
  const { overview, space } = app
  if (!overview) return
  const page = current()
  const [text, colour] = mood()
  document.title = page ? `${page.Title || 'Untitled'} · ${space.Name}` : space?.Name ?? 'Soma'
  show(at('bar'),
    h('button', { className: 'icon', 'aria-label': 'Pages', title: 'Pages', onclick: () => actions.toggle('side') }, icon('menu')),
    h('span', { className: 'where' }, space ? space.Name : 'Soma', page && h('span', {}, ' / ', page.Title || 'Untitled')),
    h('span', { id: 'status', 'data-mood': colour }, text),
    h('span', { className: 'faces', 'aria-label': 'Here now' }, (people?.present ?? []).slice(0, 5).map((user) => {
      const face = h('span', { className: 'face', title: user.name }, user.name.slice(0, 1).toUpperCase())
      face.style.backgroundColor = user.color
      return face
    })),
    h('button', { className: 'icon', 'aria-label': 'Members and sync', title: 'Members and sync', onclick: () => actions.toggle('panel') }, icon('people')))
  const parts = { spaces, tree, you, members, sync, activity }
  for (const [id, part] of Object.entries(parts)) show(at(id), part(people))
  const title = at('title')
  if (title && page && document.activeElement !== title && !title.dataset.typed) title.value = page.Title
  if (title) title.readOnly = !mayWrite() || page?.Trashed
  if (!space) show(at('page'), welcome())
  else if (!page) show(at('page'), emptySpace())
  const notes = at('notes')
  notes?.querySelector('.quiet')?.remove()
  if (notes && !mayWrite()) notes.prepend(h('div', { className: 'note quiet' }, `You are ${space.Role === 'none' ? 'no member' : `a ${space.Role}`} of this space: you can read this page, and not change it.`))
  else if (notes && page?.Trashed) notes.prepend(emptyTrash(page))
  status()
})

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.body.dataset.drawer = ''
  if (!event.altKey || event.ctrlKey || event.metaKey) return
  const shortcuts = { KeyN: () => mayWrite() && actions.createPage(), KeyP: () => actions.toggle('side'), KeyM: () => actions.toggle('panel') }
  if (shortcuts[event.code]) {
    event.preventDefault()
    shortcuts[event.code]()
  }
})

// A picture that was not here may have come.
function reloadImages() {
  for (const image of document.querySelectorAll('img[data-src]')) {
    if (image.complete && image.naturalWidth === 0) image.src = `${localURL(image.dataset.src)}?again=${Date.now()}`
  }
}

// Lists an event, or counts it with the same one before.
function note(event) {
  const same = ({ kind, source, documentId, reason }) => `${kind} ${source} ${documentId} ${reason}`
  const [last, ...others] = app.events
  const again = last && same(last) === same(event)
  app.events = [{ ...event, times: again ? last.times + 1 : 1 }, ...(again ? others : app.events)].slice(0, 12)
}

addEventListener('hashchange', refresh)
addEventListener('pagehide', () => at('title')?.onchange()) // what waits to be sent
listen({
  async ready() {
    await refresh()
    at('title')?.onchange() // what could not be sent before
  },
  change(event) {
    if (!event.spaceId || event.spaceId === app.space?.ID) note(event)
    if (event.reason === 'blobs' || event.reason === 'widened') reloadImages()
    if (event.kind === 'document-changed') render()
    else void refresh()
  },
  sync(status) {
    if (!app.overview) return
    const joined = app.overview.Sync.Spaces.some(({ Space, Joining }) => Joining && !status.Spaces.some((now) => now.Space === Space && now.Joining))
    app.overview.Sync = status
    if (joined) void refresh()
    else render()
  },
})
await refresh()
