// What a renderer needs between localStorageCollectionOptions and the storage bridge:
// a Storage and its events, synchronous for the renderer, asynchronous towards Go.
//
// Its writes go out one after the other, each with the base that was adopted last, and
// a snapshot is adopted only while none of them waits for its answer, and not one that is
// older than an answer. Everything else is decided by SetItem.

/**
 * What speaks to Go. A call that rejects was refused: nothing is stored, and never will be.
 * One that got no answer is made again, which does no harm.
 *
 * @typedef {object} Bridge
 * @property {() => Promise<{value: string, seq: number}>} snapshot
 * @property {(value: string, baseSeq: number) => Promise<{seq: number, same: boolean}>} setItem
 * @property {(baseSeq: number) => Promise<{seq: number, same: boolean}>} removeItem
 */

export class WindowStorage {
  /**
   * @param {string} key the storageKey, which is the name of the collection
   * @param {Bridge} bridge
   * @param {{value: string, seq: number}} snapshot
   */
  constructor (key, bridge, snapshot) {
    this.key = key
    this.bridge = bridge
    this.value = snapshot.value
    this.base = snapshot.seq
    this.heard = snapshot.seq // the newest change that was told of
    this.answered = 0 // the newest change as of the last answer
    this.stale = false // there may be more than was told of
    this.writes = [] // not answered yet, the first one is on its way
    this.last = Promise.resolve() // the last of all writes
    this.fetching = false
    this.listeners = new Set()
    this.waiting = []
  }

  getItem (key) { return key === this.key ? this.value : null }

  setItem (key, value) {
    if (key !== this.key) throw new Error(`this storage keeps ${this.key} only`)
    this.value = value
    this.write(base => this.bridge.setItem(value, base))
  }

  removeItem (key) {
    if (key !== this.key) return
    this.value = null
    this.write(base => this.bridge.removeItem(base))
  }

  addEventListener (_, listener) { this.listeners.add(listener) }
  removeEventListener (_, listener) { this.listeners.delete(listener) }

  /** To be called with every change that a Watch of the collection tells of. */
  changed (seq) {
    this.heard = Math.max(this.heard, seq)
    this.refresh()
  }

  /** To be called when a Watch has begun again. */
  missed () {
    this.stale = true
    this.refresh()
  }

  /** Resolves when what was written so far is on the disk, rejects when it was refused. */
  saved () { return this.last }

  /** Resolves when every write is answered and every change that was told of is seen. */
  idle () {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      this.settle()
    })
  }

  write (send) {
    this.last = new Promise((resolve, reject) => this.writes.push({ send, resolve, reject }))
    this.last.catch(() => {}) // who wants to know asks saved
    if (this.writes.length === 1) this.sendAll()
  }

  async sendAll () {
    while (this.writes.length > 0) {
      const { send, resolve, reject } = this.writes[0]
      try {
        const { seq, same } = await send(this.base)
        this.answered = seq
        this.heard = Math.max(this.heard, seq)
        // The value of a write that follows was made of this one's.
        if (same) this.base = seq
        this.stale = !same
        resolve()
      } catch (error) {
        this.stale = true // the window goes back to what is stored
        reject(error)
      }
      this.writes.shift()
    }
    this.refresh()
  }

  async refresh () {
    while (!this.fetching && this.writes.length === 0 && (this.stale || this.heard > this.base)) {
      this.fetching = true
      this.stale = false
      try {
        const snapshot = await this.bridge.snapshot()
        // One that is older than an answer may lack what was written meanwhile.
        if (this.writes.length > 0 || snapshot.seq < this.answered) this.stale = true
        else this.adopt(snapshot)
      } catch (error) {
        this.stale = true // the next change, or write, tries again
        return this.settle(error)
      } finally {
        this.fetching = false
      }
    }
    this.settle()
  }

  adopt ({ value, seq }) {
    this.value = value
    this.base = seq
    this.heard = Math.max(this.heard, seq)
    for (const listener of [...this.listeners]) listener({ key: this.key, storageArea: this })
  }

  settle (error) {
    if (error) for (const { reject } of this.waiting.splice(0)) reject(error)
    if (this.fetching || this.writes.length > 0 || this.stale || this.heard > this.base) return
    for (const { resolve } of this.waiting.splice(0)) resolve()
  }
}
