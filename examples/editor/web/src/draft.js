// What was typed and is not stored yet is kept as a draft: in this browser at once, and in
// the Mailbox of the program when it answers.
import * as Y from 'yjs'
import { call, inPage } from './api.js'

const encode = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0))

export class Draft {
  constructor(space, page, doc) {
    this.space = space
    this.page = page
    this.doc = doc
    this.path = inPage(space, page, '/draft')
    this.prefix = `draft ${space}/${page} `
    this.key = this.prefix + doc.clientID
  }

  // The document is as the program has it: what is typed from now on is to be kept.
  get loaded() {
    return this.base !== undefined
  }

  stored() {
    const { kept, saving } = this
    this.kept = undefined
    this.base = Y.encodeStateVector(this.doc)
    this.cancel()
    localStorage.removeItem(this.key)
    if (kept) saving.then(() => call('DELETE', `${this.path}?until=${kept.updatedAtMs}`)).catch(console.warn)
  }

  // Keeps what is not stored yet, unless it is soon.
  keep() {
    this.timer ??= setTimeout(() => this.write(), 200)
  }

  write() {
    this.cancel()
    const draft = this.draftOf(Y.encodeStateAsUpdate(this.doc, this.base))
    if (!draft) return
    this.kept = draft
    this.saving = call('PUT', 'draft', draft).catch(() => {}) // the browser has it
    localStorage.setItem(this.key, JSON.stringify(draft))
  }

  cancel() {
    clearTimeout(this.timer)
    this.timer = undefined
  }

  draftOf(update) {
    const { structs, ds } = Y.decodeUpdate(update)
    if (structs.length === 0 && ds.clients.size === 0) return undefined
    const text = structs.map((struct) => struct.content?.str ?? '').join('')
    return {
      spaceId: this.space, documentId: this.page, snippet: JSON.stringify({ text, update: encode(update) }),
      updatedAtMs: Date.now(), baseStateVector: encode(this.base),
    }
  }

  // Returns what drafts hold that the document does not: { text, update }, or undefined.
  async find() {
    const own = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix) && key !== this.key)
    const drafts = [await call('GET', this.path), ...own.map((key) => JSON.parse(localStorage.getItem(key)))].filter(Boolean)
    const snippets = drafts.map((draft) => JSON.parse(draft.snippet)).map(({ text, update }) => ({ text, update: decode(update) }))
    const missing = snippets.filter(({ update }) => !holds(this.doc, update))
    this.found = own
    if (missing.length === 0) {
      if (drafts.length > 0) await this.discard()
      return undefined
    }
    return { text: missing.map(({ text }) => text).join(' '), update: Y.mergeUpdates(missing.map(({ update }) => update)) }
  }

  // The program writes the draft into the document, and clears it with that.
  async restore({ update }) {
    await call('POST', this.path, this.draftOf(update))
    this.forget()
  }

  async discard() {
    this.forget()
    await call('DELETE', this.path)
  }

  forget() {
    for (const key of this.found) localStorage.removeItem(key)
  }
}

// Reports whether a document has all of an update.
function holds(doc, update) {
  const copy = new Y.Doc()
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc))
  let same = true
  copy.on('update', () => (same = false))
  Y.applyUpdate(copy, update)
  return same && !copy.store.pendingStructs && !copy.store.pendingDs
}
