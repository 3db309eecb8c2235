// The left side: the spaces, the tree of pages, the trash. And what is shown where there is
// nothing yet.
import { actions, app, flat, go, mayWrite } from './main.js'
import { h } from './dom.js'
import { icon } from './icon.js'

export function spaces() {
  const { overview, space } = app
  const joining = overview.Sync.Spaces?.filter(({ Joining, Space }) => Joining && !overview.Spaces.some(({ ID }) => ID === Space)) ?? []
  return [
    h('div', { className: 'row' },
      h('select', { 'aria-label': 'Space', 'data-key': 'space', onchange: (event) => go(event.target.value) },
        !space && h('option', { value: '', selected: true }, 'No space'),
        overview.Spaces.map(({ ID, Name }) => h('option', { value: ID, selected: ID === space?.ID }, Name))),
      h('button', { className: 'icon', title: 'New space', 'aria-label': 'New space', 'data-key': 'new-space', onclick: actions.createSpace }, icon('plus')),
      h('button', { className: 'icon', title: 'Join with a ticket', 'aria-label': 'Join with a ticket', 'data-key': 'join', onclick: actions.join }, icon('join'))),
    joining.map(() => h('p', { className: 'hint' }, 'Joining a space: waiting until a member of it can be reached…')),
  ]
}

export function tree() {
  const { Tree, Trash } = app.pages
  if (!app.space) return []
  return [
    h('ul', { className: 'tree' }, (Tree ?? []).map(item)),
    mayWrite() && h('button', { className: 'wide', 'data-key': 'new', title: 'Alt+N', onclick: () => actions.createPage() }, icon('plus'), 'New page'),
    Trash?.length > 0 && h('details', {}, h('summary', { 'data-key': 'trash' }, `Trash (${Trash.length})`),
      h('ul', { className: 'tree' }, Trash.map((page) => h('li', {}, h('div', { className: 'leaf' }, link(page),
        mayWrite() && h('button', { className: 'icon', title: 'Restore', 'aria-label': `Restore ${page.Title}`, onclick: () => actions.restore(page.ID) }, icon('back'))))))),
  ]
}

export const you = (people) => h('label', {}, 'Your name', h('input', {
  value: localStorage.getItem('name') ?? '', placeholder: people?.me.name ?? 'Somebody', maxLength: 60, 'data-key': 'name',
  onchange: (event) => actions.rename(event.target.value.trim()),
}))

const link = (page) => h('a', {
  href: `#/${encodeURIComponent(page.SpaceID)}/${encodeURIComponent(page.ID)}`, 'data-key': page.ID,
  'aria-current': page.ID === app.page ? 'page' : null,
}, page.Title || 'Untitled')

function item(page) {
  const a = link(page)
  a.title = 'Alt+arrows move the page, Delete puts it into the trash'
  a.onkeydown = (event) => press(event, page)
  const leaf = h('div', { className: 'leaf', draggable: mayWrite() }, a,
    mayWrite() && h('button', { className: 'icon', title: 'New page under this one', 'aria-label': `New page under ${page.Title}`, onclick: () => actions.createPage(page.ID) }, icon('plus')),
    mayWrite() && h('button', { className: 'icon', title: 'Put into the trash', 'aria-label': `Put ${page.Title} into the trash`, onclick: () => actions.trash(page.ID) }, icon('trash')))
  leaf.ondragstart = (event) => event.dataTransfer.setData('application/x-soma-page', page.ID)
  leaf.ondragover = (event) => {
    if (!event.dataTransfer.types.includes('application/x-soma-page')) return
    event.preventDefault()
    leaf.dataset.drop = zone(event, leaf)
  }
  leaf.ondragleave = () => delete leaf.dataset.drop
  leaf.ondrop = (event) => {
    event.preventDefault()
    const moved = event.dataTransfer.getData('application/x-soma-page')
    const place = { before: { Before: page.ID }, after: { After: page.ID }, into: { Parent: page.ID } }[zone(event, leaf)]
    if (moved && moved !== page.ID) void actions.move(moved, place)
  }
  return h('li', {}, leaf, page.Children?.length > 0 && h('ul', {}, page.Children.map(item)))
}

// Where a page is dropped: above, below, or under another one.
function zone(event, leaf) {
  const { top, height } = leaf.getBoundingClientRect()
  const y = (event.clientY - top) / height
  return y < 0.25 ? 'before' : y > 0.75 ? 'after' : 'into'
}

// The arrows go through the tree, with Alt they take the page along.
function press(event, page) {
  const all = flat()
  const siblings = all.filter(({ Parent }) => Parent === page.Parent)
  const i = siblings.findIndex(({ ID }) => ID === page.ID)
  const step = (by) => document.querySelector(`[data-key="${all[all.findIndex(({ ID }) => ID === page.ID) + by]?.ID}"]`)?.focus()
  const moves = {
    ArrowUp: i > 0 && { Before: siblings[i - 1].ID },
    ArrowDown: i < siblings.length - 1 && { After: siblings[i + 1].ID },
    ArrowRight: i > 0 && { Parent: siblings[i - 1].ID },
    ArrowLeft: page.Parent && { After: page.Parent },
  }
  const run = event.altKey
    ? event.key in moves && (() => moves[event.key] && mayWrite() && actions.move(page.ID, moves[event.key]))
    : { ArrowUp: () => step(-1), ArrowDown: () => step(1), Delete: () => mayWrite() && actions.trash(page.ID) }[event.key]
  if (!run) return
  event.preventDefault()
  run()
}

export const welcome = () => h('section', { className: 'empty' },
  h('h1', {}, 'Write together, without a server'),
  h('p', {}, 'A space is kept on the devices of its members, and synced between them. Make one, or join one with a ticket that a member gave you.'),
  h('div', { className: 'row centre' },
    h('button', { className: 'primary', onclick: actions.createSpace }, 'Create a space'),
    h('button', { onclick: actions.join }, 'Join with a ticket')))

export const emptySpace = () => h('section', { className: 'empty' },
  h('h1', {}, 'No pages yet'),
  h('p', {}, mayWrite() ? 'Pages hold text, lists and pictures, and other pages.' : 'As soon as somebody writes one, it is here.'),
  mayWrite() && h('button', { className: 'primary', onclick: () => actions.createPage() }, 'Create the first page'))

export const emptyTrash = (page) => h('div', { className: 'note quiet row' }, 'This page is in the trash.',
  h('button', { onclick: () => actions.restore(page.ID) }, 'Restore'))
