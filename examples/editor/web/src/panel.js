// The right side: who is in the space, how sync stands, and what happens.
import { app, flat, refresh } from './main.js'
import { call, inSpace } from './api.js'
import { act, h, toast } from './dom.js'
import { icon } from './icon.js'
import { colourOf, short } from './people.js'

let ticket // that was made last, of a space
let invited = 'editor' // the role that was chosen last

const time = (ms) => new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const plural = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`

export function members(people) {
  if (!app.space) return []
  const owner = app.space.Role === 'owner'
  const at = (peer) => inSpace(app.space.ID, `members/${peer}`)
  const list = h('ul', { className: 'members' }, app.members.map(({ Peer, Role }) => {
    const own = Peer === app.overview.Peer
    const name = people.nameOf(Peer) ?? (own ? people.me.name : 'Member')
    const face = h('span', { className: 'face', 'aria-hidden': 'true' }, name.slice(0, 1).toUpperCase())
    face.style.backgroundColor = colourOf(name)
    return h('li', {}, face,
      h('span', { className: 'who' }, own ? `${name} (you)` : name, h('small', { title: Peer }, short(Peer))),
      owner && !own
        ? [
            h('select', { 'aria-label': `Role of ${name}`, 'data-key': `role ${Peer}`, onchange: act((event) => setRole(at(Peer), event.target, Role)) },
              ['owner', 'editor', 'viewer', 'cache'].map((role) => h('option', { selected: role === Role }, role))),
            h('button', { className: 'icon', title: 'Remove', 'aria-label': `Remove ${name}`, onclick: act(() => confirm(`Remove ${name} from this space?`) && call('DELETE', at(Peer))) }, icon('cross')),
          ]
        : h('span', { className: 'role' }, Role))
  }))
  return [h('h2', {}, 'Members'), list, owner && invite()]
}

async function setRole(path, select, before) {
  try {
    await call('PUT', path, { Role: select.value })
  } catch (err) {
    select.value = before
    throw err
  }
}

function invite() {
  const role = h('select', { 'aria-label': 'Role of who is invited', 'data-key': 'invite-role', onchange: () => (invited = role.value) },
    ['editor', 'viewer', 'cache'].map((role) => h('option', { selected: role === invited }, role)))
  const made = ticket?.space === app.space.ID && ticket.text
  return [
    h('div', { className: 'row' }, role, h('button', { 'data-key': 'invite', onclick: act(async () => {
      ticket = { space: app.space.ID, text: await call('POST', inSpace(app.space.ID, 'invites'), { Role: invited }) }
      await refresh()
    }) }, 'Invite')),
    made && h('div', { className: 'ticket' },
      h('textarea', { readOnly: true, rows: 3, 'aria-label': 'Ticket', 'data-key': 'ticket', onfocus: (event) => event.target.select() }, made),
      h('div', { className: 'row' },
        h('button', { 'data-key': 'copy', onclick: act(() => navigator.clipboard.writeText(made).then(() => toast('Copied. It is good for one person.'))) }, 'Copy ticket'),
        h('button', { onclick: () => ((ticket = undefined), void refresh()) }, 'Done'))),
  ]
}

export function sync() {
  if (!app.space) return []
  const { Sync } = app.overview
  const status = Sync.Spaces?.find(({ Space }) => Space === app.space.ID)
  const only = status?.OnlyHere ?? 0
  return [h('h2', {}, 'Sync'), h('dl', { className: 'facts' },
    h('dt', {}, 'Only on this device'), h('dd', { id: 'only-here', 'data-mood': only ? 'busy' : 'ok' }, only ? plural(only, 'change') : 'nothing'),
    h('dt', {}, 'Connected'), h('dd', { id: 'peers' }, plural(status?.Peers ?? 0, 'member')),
    h('dt', {}, 'Last exchange'), h('dd', {}, status?.LastExchangeMs ? time(status.LastExchangeMs) : 'never'))]
}

const kinds = { 'spaces-changed': 'The list of spaces', 'space-changed': 'This space', 'pages-changed': 'The page tree', 'document-changed': '' }

export function activity() {
  if (!app.space) return []
  const title = (id) => flat().find(({ ID }) => ID === id)?.Title ?? (id === 'people' ? 'Names' : 'A page')
  return [h('h2', {}, 'Activity'), app.events.length === 0
    ? h('p', { className: 'hint' }, 'What changes is listed here.')
    : h('ol', { className: 'events' }, app.events.map(({ kind, source, atMs, documentId, reason, times }) => h('li', {},
        h('span', {}, `${kinds[kind] || title(documentId)} changed`, reason && h('small', {}, ` ${reason}`)),
        h('small', {}, `${source === 'daemon' ? 'by others' : 'here'} · ${time(atMs)}${times > 1 ? ` · ${times} times` : ''}`))))]
}
