// The people of a space: the names that members gave themselves, in a document of the
// space, and who is here now.
import { HocuspocusProvider } from '@hocuspocus/provider'
import { socket } from './session.js'

const colours = ['#2f6fde', '#c2410c', '#0f8a5f', '#a21caf', '#b45309', '#0e7490', '#be123c', '#5b4bd6']
const hash = (text) => [...text].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) >>> 0, 7)

export const colourOf = (text) => colours[hash(text) % colours.length]
export const short = (peer) => `${peer.slice(0, 6)}…${peer.slice(-4)}`

export class People {
  // Calls changed when somebody comes, goes or is renamed, and ready when names are known.
  constructor(space, peer, changed, ready) {
    this.peer = peer
    this.provider = new HocuspocusProvider({ name: `${space}/people`, websocketProvider: socket, token: '' })
    this.names = this.provider.document.getMap('names')
    this.names.observe(changed)
    this.provider.on('awarenessChange', changed)
    this.provider.on('synced', ready)
    this.provider.attach()
  }

  // The name of a member: what they say, so the peer ID is shown with it.
  nameOf(peer) {
    const name = this.names.get(peer)
    return typeof name === 'string' && name ? name.slice(0, 60) : undefined
  }

  // Who writes here: in another browser the same member can be called otherwise.
  get me() {
    const name = localStorage.getItem('name') || this.nameOf(this.peer) || 'Somebody'
    return { name, color: colourOf(name) }
  }

  // Tells who is here now, and gives the member that name, if it was chosen for them.
  introduce(mayWrite, chosen) {
    this.provider.setAwarenessField('user', this.me)
    const name = localStorage.getItem('name')
    if (name && mayWrite && this.provider.isSynced && (chosen || !this.nameOf(this.peer))) this.names.set(this.peer, name)
  }

  get present() {
    const all = [...this.provider.awareness.getStates().values()].map((state) => state.user).filter((user) => user?.name)
    return [...new Map(all.map((user) => [user.name, user])).values()]
  }

  // Asks again what the member may do.
  reconnect() {
    this.provider.detach()
    this.provider.attach()
  }

  close() {
    this.provider.destroy()
  }
}
