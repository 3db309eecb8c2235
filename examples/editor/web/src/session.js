// A session is a page that is open: its Yjs document, and how it stands with the program.
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as Y from 'yjs'
import { Draft } from './draft.js'

export const socket = new HocuspocusProviderWebsocket({
  url: `ws://${location.host}/documents`, delay: 500, minDelay: 250, maxDelay: 4000,
})

const sessions = new Map()
addEventListener('pagehide', () => sessions.forEach((session) => session.unsaved && session.draft.write()))

// Opens a page, or takes up the session that still has something to send.
export function openSession(space, page, changed) {
  const key = `${space}/${page}`
  const session = sessions.get(key) ?? new Session(space, page, key)
  sessions.set(key, session)
  session.changed = changed
  return session
}

class Session {
  constructor(space, page, key) {
    this.key = key
    this.doc = new Y.Doc()
    this.draft = new Draft(space, page, this.doc)
    this.provider = new HocuspocusProvider({ name: key, document: this.doc, websocketProvider: socket, token: '' })
    this.provider.on('unsyncedChanges', () => this.update())
    this.provider.on('authenticated', () => this.update())
    this.provider.on('synced', () => this.update())
    this.provider.on('status', () => this.update())
    this.provider.on('close', ({ event }) => event instanceof CloseEvent || this.closed(event.reason))
    this.provider.attach()
  }

  get readOnly() {
    return this.provider.authorizedScope === 'readonly'
  }

  // What has become of what was typed: loading, saved (on the disk of this machine),
  // saving, or offline (in a draft).
  get state() {
    if (socket.status !== 'connected') return this.draft.loaded ? 'offline' : 'loading'
    if (!this.provider.hasUnsyncedChanges && this.provider.isSynced) return 'saved'
    return this.draft.loaded ? 'saving' : 'loading'
  }

  get unsaved() {
    return this.draft.loaded && this.provider.hasUnsyncedChanges && !this.readOnly
  }

  update() {
    if (this.state === 'saved') this.draft.stored()
    else if (this.unsaved) this.draft.keep()
    this.changed?.()
    if (!this.changed) this.release()
  }

  // The program has closed the document alone. One that was rebuilt holds what others do
  // not see: a new one is needed.
  closed(reason) {
    if (reason === 'rebuilt') {
      if (this.unsaved) this.draft.write()
      this.destroy()
      this.changed?.('rebuilt')
    } else setTimeout(() => this.reconnect(), 1000)
  }

  // Asks again what the member may do.
  reconnect() {
    if (!sessions.has(this.key)) return
    this.provider.detach()
    this.provider.attach()
  }

  // Ends the session when all that was typed is stored.
  release() {
    this.changed = undefined
    if (!this.unsaved) this.destroy()
  }

  destroy() {
    if (sessions.get(this.key) === this) sessions.delete(this.key)
    this.provider.destroy()
    this.doc.destroy()
  }
}
