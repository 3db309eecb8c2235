// The people of a space: the names that members gave themselves, in a document of the
// space, and who is here now.
import { HocuspocusProvider } from '@hocuspocus/provider'
import { socket } from './session.js'

const colours = ['#2f6fde', '#c2410c', '#0f8a5f', '#a21caf', '#b45309', '#0e7490', '#be123c', '#5b4bd6']
const hash = (text) => [...text].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) >>> 0, 7)

export const colourOf = (text) => colours[hash(text) % colours.length]
export const short = (peer) => `${peer.slice(0, 6)}…${peer.slice(-4)}`

export const me = {
  get name() {
    return localStorage.getItem('name') || 'Somebody'
  },
  set name(name) {
    localStorage.setItem('name', name)
  },
}

export class People {
  constructor(space, peer, changed) {
    this.peer = peer
    this.provider = new HocuspocusProvider({ name: `${space}/people`, websocketProvider: socket, token: '' })
    this.names = this.provider.document.getMap('names')
    this.names.observe(changed)
    this.provider.on('awarenessChange', changed)
    this.provider.attach()
  }

  // The name of a member: what they say, so the peer ID is shown with it.
  nameOf(peer) {
    const name = this.names.get(peer)
    return typeof name === 'string' && name ? name.slice(0, 60) : undefined
  }

  // Tells who is here, and lets the others know if the member may write.
  introduce(mayWrite, page) {
    this.provider.setAwarenessField('user', { name: me.name, color: colourOf(me.name), page })
    if (mayWrite && this.provider.isSynced && localStorage.getItem('name') && this.names.get(this.peer) !== me.name) {
      this.names.set(this.peer, me.name)
    }
  }

  get present() {
    const all = [...this.provider.awareness.getStates().values()].map((state) => state.user).filter((user) => user?.name)
    return [...new Map(all.map((user) => [user.name, user])).values()]
  }

  close() {
    this.provider.destroy()
  }
}
