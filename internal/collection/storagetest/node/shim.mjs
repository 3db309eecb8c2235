// What a renderer needs between localStorageCollectionOptions and the storage bridge:
// a Storage and its events, synchronous for the renderer, asynchronous towards Go.
//
// Its writes go out one after the other, each with the base that was adopted last, and
// a snapshot is adopted only while none of them waits for its answer, and not one that is
// older than an answer. Everything else is decided by SetItem.

/**
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
    this.writes = [] // not answered yet, the first one is on its way
    this.fetching = false
    this.listeners = new Set()
    this.waiting = []
    this.refused = []
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

  /** Resolves when every write is answered and every change that was told of is seen. */
  idle () {
    return new Promise(resolve => {
      this.waiting.push(resolve)
      this.settle()
    })
  }

  write (send) {
    this.writes.push(send)
    if (this.writes.length === 1) this.sendAll()
  }

  async sendAll () {
    let same = true
    while (this.writes.length > 0) {
      try {
        const answer = await this.writes[0](this.base)
        same = answer.same
        this.answered = answer.seq
        this.heard = Math.max(this.heard, answer.seq)
        // The value of a write that follows was made of this one's.
        if (same) this.base = answer.seq
      } catch (error) {
        // The window goes back to what is stored.
        this.refused.push(error)
        same = false
      }
      this.writes.shift()
    }
    this.refresh(!same)
  }

  async refresh (whatever = false) {
    if (this.fetching || this.writes.length > 0) return
    if (whatever || this.heard > this.base) {
      this.fetching = true
      const snapshot = await this.bridge.snapshot()
      this.fetching = false
      if (this.writes.length > 0) return // what follows their answers
      const current = snapshot.seq >= this.answered // else it may lack what was written meanwhile
      if (current) this.adopt(snapshot)
      return this.refresh(!current)
    }
    this.settle()
  }

  adopt ({ value, seq }) {
    this.value = value
    this.base = seq
    this.heard = Math.max(this.heard, seq)
    for (const listener of [...this.listeners]) listener({ key: this.key, storageArea: this })
  }

  settle () {
    if (this.fetching || this.writes.length > 0 || this.heard > this.base) return
    for (const resolve of this.waiting.splice(0)) resolve()
  }
}
