// Two windows of one renderer each, with the real localStorageCollectionOptions, edit
// one collection at the same time. What they do is a function of the seed, when it
// meets is not.
//
//   node windows.mjs '{"collection":"tabs","seed":1,"steps":200,"numbers":false,"reload":false,"again":false}'

import { randomUUID } from 'node:crypto'
import { createCollection, localStorageCollectionOptions } from '@tanstack/db'
import { Prng } from '../../../yjs/yjstest/node/prng.mjs'
import { WindowStorage } from '../../../../examples/reactdb/node/storage.mjs'
import { call, close, watch } from './bridge.mjs'

const { collection: name, seed, steps, numbers, reload, again } = JSON.parse(process.argv[2])

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** What a write changes of the value before it: rows by their keys in storage. */
const difference = (before, after) => {
  const old = JSON.parse(before ?? '{}')
  const rows = JSON.parse(after ?? '{}')
  const puts = Object.keys(rows).filter(key => rows[key].versionKey !== old[key]?.versionKey)
  const deletes = Object.keys(old).filter(key => rows[key] === undefined)
  return {
    puts: puts.map(key => ({ key, versionKey: rows[key].versionKey, data: rows[key].data })),
    deletes: deletes.map(key => ({ key, versionKey: old[key].versionKey }))
  }
}

class Window {
  constructor (id) {
    this.id = id
    this.rng = new Prng(seed * 1000 + id.charCodeAt(0))
    this.lost = new Prng(seed * 1000 + 500 + id.charCodeAt(0))
    this.done = { insert: 0, update: 0, delete: 0 }
    this.refused = []
  }

  async open () {
    const window = randomUUID() // a window that is loaded again is another one
    let value // that of the write before
    const write = async (op, args) => {
      const answer = await call(op, { collection: name, window, ...args, change: this.changes.shift() })
      if (!again || this.lost.int(0, 1)) return answer
      await sleep(this.lost.int(0, 8)) // the answer was lost, and others write meanwhile
      return call(op, { collection: name, window, ...args })
    }
    const bridge = {
      snapshot: () => call('snapshot', { collection: name }),
      setItem: (value, baseSeq) => write('setItem', { value, baseSeq }),
      removeItem: baseSeq => write('removeItem', { baseSeq })
    }
    this.changes = []
    this.storage = new WindowStorage(name, bridge, await bridge.snapshot())
    const { setItem } = this.storage
    this.storage.setItem = (key, next) => {
      value = this.storage.getItem(name)
      this.changes.push(difference(value, next))
      setItem.call(this.storage, key, next)
      this.storage.saved().catch(error => this.refused.push(String(error)))
    }
    this.unwatch = watch(name, seq => this.storage.changed(seq))
    this.rows = createCollection(localStorageCollectionOptions({
      id: `${name} of ${window}`,
      storageKey: name,
      storage: this.storage,
      storageEventApi: this.storage,
      getKey: row => row.id,
      startSync: true
    }))
    await this.rows.preload()
  }

  async close () {
    await this.storage.idle()
    this.unwatch()
    await this.rows.cleanup()
  }

  async play () {
    for (let step = 0; step < steps; step++) {
      await sleep(this.rng.int(0, 8))
      if (reload && step === steps >> 1) {
        await this.close()
        await this.open()
      }
      await this.step(step).isPersisted.promise
    }
  }

  step (step) {
    const number = this.rng.int(1, 24)
    const key = numbers ? number / 2 : `row ${number}`
    const text = `${this.id} ${step} "é<&> ${'x'.repeat(this.rng.int(0, 40))}`
    if (!this.rows.has(key)) {
      this.done.insert++
      return this.rows.insert({ id: key, by: this.id, step, text })
    }
    if (this.rng.int(0, 2) === 0) {
      this.done.delete++
      return this.rows.delete(key)
    }
    this.done.update++
    return this.rows.update(key, row => { Object.assign(row, { by: this.id, step, text }) })
  }

  report () {
    return {
      id: this.id,
      done: this.done,
      rows: Object.fromEntries([...this.rows.entries()].map(([key, row]) => [`${typeof key === 'number' ? 'n' : 's'}:${key}`, this.bare(row)])),
      value: this.storage.getItem(name) ?? '{}',
      refused: this.refused
    }
  }

  // A row without what the collection adds to it for its readers.
  bare ({ id, by, step, text, ...rest }) {
    const own = Object.fromEntries(Object.entries(rest).filter(([field]) => !field.startsWith('$')))
    return { id, by, step, text, ...own }
  }
}

const windows = [new Window('A'), new Window('B')]
for (const window of windows) await window.open()
await Promise.all(windows.map(window => window.play()))
for (const window of windows) await window.storage.idle() // no write is on its way
await call('settled', {}) // Go has stopped writing, and has told of every change
for (const window of windows) await window.storage.idle()
await call('report', { windows: windows.map(window => window.report()) })
close()
