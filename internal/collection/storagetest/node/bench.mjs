// What conf, the store inside of electron-store, takes for what collections do, in the
// lines of a Go benchmark:
//
//   node bench.mjs [runs]
//
// The records are those of the benchmarks in Go: 10,000, of 200 bytes as JSON.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import Conf from 'conf'

const runs = Number(process.argv[2] ?? 5)
const records = 10_000
const bytes = 200

const record = (i, version = 0) => {
  const row = { id: `key-${i}`, title: `Title ${i}`, updatedAtMs: 1_700_000_000_000 + version, text: '' }
  row.text = 'x'.repeat(bytes - JSON.stringify(row).length)
  return row
}

const snapshot = () => JSON.stringify(Object.fromEntries(Array.from({ length: records }, (_, i) =>
  [`s:key-${i}`, { versionKey: randomUUID(), data: record(i) }])))

const dir = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), 'soma-conf-'))
const open = (configName) => new Conf({ cwd: dir, configName, projectName: 'soma' })

/** Times count calls of fn, runs times. */
const measure = (name, count, fn) => {
  fn(0)
  for (let run = 1; run <= runs; run++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < count; i++) fn(run * count + i)
    const ns = Number(process.hrtime.bigint() - start) / count
    console.log(`BenchmarkConf/${name} ${count} ${ns.toFixed(0)} ns/op`)
  }
}

try {
  const one = open('records')
  one.set('records', Object.fromEntries(Array.from({ length: records }, (_, i) => [`key-${i}`, record(i)])))
  measure('set', 10, i => one.set(`records.key-${(i * 7919) % records}`, record((i * 7919) % records, i)))
  measure('hydrate', 5, () => {
    if (Object.keys(open('records').get('records')).length !== records) throw new Error('records are missing')
  })

  const whole = open('snapshots')
  const rows = JSON.parse(snapshot())
  whole.set('reactDb.tabs', JSON.stringify(rows))
  measure('set-snapshot', 5, i => {
    rows[`s:key-${i % records}`] = { versionKey: randomUUID(), data: record(i % records, i) }
    whole.set('reactDb.tabs', JSON.stringify(rows))
  })

  const text = snapshot()
  measure('parse-snapshot', 20, () => JSON.parse(text))
} finally {
  rmSync(dir, { recursive: true })
}
