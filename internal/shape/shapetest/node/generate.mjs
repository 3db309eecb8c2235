// Writes the committed fixtures: ../../testdata/documents-<family>.jsonl.gz, one
// document per line. Run `npm run generate`; the result depends on nothing but
// this folder and the pinned packages.
//
//   --out DIR   writes elsewhere

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { parseArgs } from 'node:util'
import { familyNames, play } from './play.mjs'

const PER_FAMILY = 50

const { values: args } = parseArgs({ options: { out: { type: 'string' } } })
const out = args.out ?? join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'testdata')
mkdirSync(out, { recursive: true })

let total = 0
for (const [f, family] of familyNames.entries()) {
  const lines = []
  const dropped = {}
  for (let seed = 1_000_000 + f * 10_000; lines.length < PER_FAMILY; seed++) {
    const { record, dropped: reason } = await play(family, seed)
    if (record === undefined) dropped[reason] = (dropped[reason] ?? 0) + 1
    else lines.push(JSON.stringify(record) + '\n')
  }
  const packed = gzipSync(lines.join(''), { level: 9 })
  total += packed.length
  writeFileSync(join(out, `documents-${family}.jsonl.gz`), packed)
  console.log(`${family}: ${lines.length} documents, ${packed.length} bytes, dropped ${JSON.stringify(dropped)}`)
}
console.log(`${total} bytes in all`)
process.exit(0) // editors leave timers behind
