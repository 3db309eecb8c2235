// How fast real yjs, ywasm (yrs) and Loro edit, each in its own way of doing the same
// work: every edit is a transaction of its own, whose update is emitted.
//
//   npm run bench-edit -- --out DIR [--runs N]
//
// DIR is what bench.mjs left its files in. From b4-edits.json there, a list of [index,
// deleted units, inserted string], the whole history is written again (b4); besides, 6,000
// letters go to random places (random). encode is the state of the history, in the
// engine's own format: v1 of yjs and ywasm, all updates of Loro. It leaves
// random-edits.json for the Go side, and prints medians in milliseconds.

import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as Y from 'yjs'
import { Prng } from './prng.mjs'

const { values: args } = parseArgs({ options: { out: { type: 'string' }, runs: { type: 'string', default: '5' } } })
const require = createRequire(import.meta.url)
const ywasm = require('ywasm')
const { LoroDoc } = require('loro-crdt')

const RANDOM = 6000
const SLOW = 10_000 // ms

const random = () => {
  const rng = new Prng(6)
  return Array.from({ length: RANDOM }, (_, n) => [rng.int(0, n), 0, rng.pick('etaoin shrdlu')])
}

// An engine gives {insert, remove, encode, text, emitted}.
const engines = {
  yjs: () => {
    const doc = new Y.Doc({ guid: 'bench' })
    doc.clientID = 1
    const text = doc.getText('text')
    const emitted = { bytes: 0 }
    doc.on('update', (update) => { emitted.bytes += update.length })
    return {
      insert: (at, s) => text.insert(at, s),
      remove: (at, n) => text.delete(at, n),
      encode: () => Y.encodeStateAsUpdate(doc),
      text: () => text.toString(),
      emitted
    }
  },
  ywasm: () => {
    const doc = new ywasm.YDoc({ clientID: 1 })
    const text = doc.getText('text')
    const emitted = { bytes: 0 }
    doc.onUpdate((update) => { emitted.bytes += update.length })
    return {
      insert: (at, s) => text.insert(at, s),
      remove: (at, n) => text.delete(at, n),
      encode: () => ywasm.encodeStateAsUpdate(doc),
      text: () => text.toString(),
      emitted
    }
  },
  loro: () => {
    const doc = new LoroDoc()
    doc.setPeerId('1')
    const text = doc.getText('text')
    const emitted = { bytes: 0 }
    doc.subscribeLocalUpdates((update) => { emitted.bytes += update.length })
    return {
      insert: (at, s) => { text.insert(at, s); doc.commit() },
      remove: (at, n) => { text.delete(at, n); doc.commit() },
      encode: () => doc.export({ mode: 'update' }),
      text: () => text.toString(),
      emitted
    }
  }
}

const perform = (engine, edits) => {
  for (const [at, deleted, inserted] of edits) {
    if (deleted > 0) engine.remove(at, deleted)
    if (inserted) engine.insert(at, inserted)
  }
}

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1]
const round = (ms) => Number(ms.toFixed(ms < 10 ? 3 : 1))

const timed = (work) => {
  globalThis.gc?.()
  const start = performance.now()
  work()
  return performance.now() - start
}

const histories = { b4: JSON.parse(readFileSync(join(args.out, 'b4-edits.json'))), random: random() }
writeFileSync(join(args.out, 'random-edits.json'), JSON.stringify(histories.random))

const result = {}
for (const [name, make] of Object.entries(engines)) {
  const figures = result[name] = {}
  for (const [history, edits] of Object.entries(histories)) {
    let engine
    const run = () => {
      engine = make()
      return timed(() => perform(engine, edits))
    }
    const first = run()
    // What takes so long does not get faster by being run again.
    const runs = first > SLOW ? [first] : Array.from({ length: Number(args.runs) }, run)
    await Promise.resolve() // Loro tells of updates in a microtask
    figures[history] = { warm: round(median(runs)), first: round(first), emitted: engine.emitted.bytes }
    if (history !== 'b4') continue
    const encodes = Array.from({ length: Number(args.runs) + 1 }, () => timed(() => engine.encode()))
    figures.encode = { warm: round(median(encodes.slice(1))), bytes: engine.encode().length }
    const text = readFileSync(join(args.out, 'b4-text.txt'), 'utf8')
    if (engine.text() !== text) throw new Error(`${name} has written another text`)
  }
}
console.log(JSON.stringify(result, null, 2))
