// The yjs side of the benchmarks: the ES module build, which is 3-4 times faster
// than the CommonJS one. The editing history is the B4 trace of crdt-benchmarks
// (SOMA_B4_TRACE, or data/b4-editing-trace.json.gz in the folder `shared` beside the
// repository); without it, a seeded history of the same shape.
//
//   npm run bench [-- --out DIR] [--runs N]
//
// In DIR (a temporary folder if not given) it leaves what the Go side reads:
//
//   b4-updates.bin   one v1 update per edit, each after its length (uint32, big-endian)
//   b4-state.bin     the final state, encodeStateAsUpdate
//   b4-text.txt      the final text
//   b4-edits.json    the edits, as [index, deleted units, inserted string]
//
// and prints one JSON object; times are medians in milliseconds, `cold` ones of
// the first run in a process of its own.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { parseArgs } from 'node:util'
import * as Y from 'yjs'
import { Prng } from './prng.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const { values: args } = parseArgs({
  options: {
    out: { type: 'string' },
    runs: { type: 'string', default: '7' },
    cold: { type: 'string' } // for the processes that this one starts
  }
})

const ROOT = 'text'
const CLIENT = 1
const MERGED = [1000, 2000, 4000, 8000]

const median = (list) => {
  const sorted = list.toSorted((a, b) => a - b)
  const mid = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[mid] : (sorted[mid - 1] + sorted[mid]) / 2
}

const round = (ms) => Number(ms.toFixed(ms < 10 ? 3 : 1))

const timed = (work) => {
  globalThis.gc?.()
  const start = performance.now()
  work()
  return performance.now() - start
}

const fresh = () => {
  const doc = new Y.Doc({ guid: 'bench' })
  doc.clientID = 0
  doc.getText(ROOT)
  return doc
}

const tasks = {
  load: ({ state }) => Y.applyUpdate(fresh(), state),
  apply: ({ updates }) => {
    const doc = fresh()
    for (const update of updates) Y.applyUpdate(doc, update)
  },
  encode: ({ loaded }) => Y.encodeStateAsUpdate(loaded)
}
for (const n of MERGED) tasks[`merge${n}`] = ({ updates }) => Y.mergeUpdates(updates.slice(0, n))

const readInput = (dir) => {
  const file = readFileSync(join(dir, 'b4-updates.bin'))
  const updates = []
  for (let at = 0; at < file.length;) {
    const size = file.readUInt32BE(at)
    updates.push(new Uint8Array(file.buffer, file.byteOffset + at + 4, size))
    at += 4 + size
  }
  const state = new Uint8Array(readFileSync(join(dir, 'b4-state.bin')))
  const loaded = fresh()
  return { updates, state, loaded }
}

if (args.cold !== undefined) {
  const input = readInput(args.out)
  if (args.cold === 'encode') Y.applyUpdate(input.loaded, input.state)
  console.log(timed(() => tasks[args.cold](input)))
  process.exit(0)
}

// Words typed, characters taken back, now and then somewhere else.
const synthetic = () => {
  const rng = new Prng(4)
  const edits = []
  let length = 0
  let at = 0
  while (edits.length < 259_778) {
    if (rng.chance(0.004)) at = rng.int(0, length)
    if (at > 0 && rng.chance(0.29)) {
      edits.push([--at, 1])
      length--
    } else {
      edits.push([at++, 0, rng.pick('etaoin shrdlucmfwypvbgkqjxz\n')])
      length++
    }
  }
  return edits
}

const tracePath = process.env.SOMA_B4_TRACE ?? join(here, '..', '..', '..', '..', '..', 'shared', 'data', 'b4-editing-trace.json.gz')
const isB4 = existsSync(tracePath)
const edits = isB4 ? JSON.parse(gunzipSync(readFileSync(tracePath))) : synthetic()

const dir = args.out ?? mkdtempSync(join(tmpdir(), 'soma-bench-'))
mkdirSync(dir, { recursive: true })

const write = () => {
  const doc = fresh()
  doc.clientID = CLIENT
  const text = doc.getText(ROOT)
  const parts = []
  doc.on('update', (update) => {
    const size = Buffer.alloc(4)
    size.writeUInt32BE(update.length)
    parts.push(size, update)
  })
  const typing = timed(() => {
    for (const [at, deleted, inserted] of edits) {
      if (deleted > 0) text.delete(at, deleted)
      if (inserted) text.insert(at, inserted)
    }
  })
  writeFileSync(join(dir, 'b4-updates.bin'), Buffer.concat(parts))
  writeFileSync(join(dir, 'b4-state.bin'), Y.encodeStateAsUpdate(doc))
  writeFileSync(join(dir, 'b4-text.txt'), text.toString())
  writeFileSync(join(dir, 'b4-edits.json'), JSON.stringify(edits))
  return typing
}

const typing = write()
const input = readInput(dir)
const runs = Number(args.runs)

const result = {
  trace: isB4 ? 'b4' : 'synthetic',
  node: process.version,
  edits: edits.length,
  updates: input.updates.length,
  stateBytes: input.state.length,
  edit: round(typing)
}

globalThis.gc?.()
const before = process.memoryUsage().heapUsed
Y.applyUpdate(input.loaded, input.state)
globalThis.gc?.()
if (globalThis.gc) result.heapOfLoadedDoc = process.memoryUsage().heapUsed - before

for (const name of Object.keys(tasks)) {
  // The merges grow with the square of their number; fewer runs say enough.
  const n = name.startsWith('merge') ? Math.min(runs, 3) : runs
  const cold = []
  for (let i = 0; i < Math.min(n, 3); i++) {
    cold.push(Number(execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--cold', name, '--out', dir], { encoding: 'utf8' })))
  }
  tasks[name](input)
  const warm = Array.from({ length: n }, () => timed(() => tasks[name](input)))
  result[name] = { warm: round(median(warm)), cold: round(median(cold)) }
}
const [few, many] = [MERGED[MERGED.length - 2], MERGED[MERGED.length - 1]]
result.mergeGrowth = `${many / few} times the updates take ${(result[`merge${many}`].warm / result[`merge${few}`].warm).toFixed(1)} times as long`
result.files = dir
console.log(JSON.stringify(result, null, 2))
