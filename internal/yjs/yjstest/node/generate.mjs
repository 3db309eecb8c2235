// Writes the committed fixtures: ../testdata/sessions-<family>.jsonl.gz, one
// session per line. Run `npm run generate`; the result depends on nothing but
// this folder and the pinned yjs.
//
//   --out DIR   writes elsewhere; --print writes the plain lines of all families to stdout

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { parseArgs } from 'node:util'
import { families } from './families.mjs'
import { familyNames, play } from './sessions.mjs'

const PER_FAMILY = 40

// Long sessions are large, and one has what forty short ones have. Large transactions
// take half as many sessions.
const PER_LONG_FAMILY = 6

// Small sessions, because a failing one has to be read by people; some larger
// ones, because some things only happen then.
const limit = (i) => (i % 8 === 7 ? 150 : 24)

const { values: args } = parseArgs({ options: { out: { type: 'string' }, print: { type: 'boolean' } } })
const out = args.out ?? join(dirname(fileURLToPath(import.meta.url)), '..', 'testdata')

let total = 0
familyNames.forEach((family, f) => {
  const lines = []
  const dropped = {}
  const { long, batch } = families[family]
  const wanted = long ? PER_LONG_FAMILY : batch ? PER_FAMILY / 2 : PER_FAMILY
  for (let seed = 1_000_000 + f * 10_000; lines.length < wanted; seed++) {
    const { record, dropped: reason } = play(seed, { family, operations: limit(lines.length) })
    if (record?.disagrees !== undefined) dropped[record.disagrees] = (dropped[record.disagrees] ?? 0) + 1
    else if (record === undefined) dropped[reason] = (dropped[reason] ?? 0) + 1
    else lines.push(JSON.stringify(record) + '\n')
  }
  if (args.print) {
    process.stdout.write(lines.join(''))
    return
  }
  const packed = gzipSync(lines.join(''), { level: 9 })
  total += packed.length
  mkdirSync(out, { recursive: true })
  writeFileSync(join(out, `sessions-${family}.jsonl.gz`), packed)
  console.log(`${family}: ${lines.length} sessions, ${packed.length} bytes, dropped ${JSON.stringify(dropped)}`)
})
if (!args.print) console.log(`${total} bytes in all`)
