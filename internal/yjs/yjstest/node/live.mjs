// Prints fresh sessions as JSON lines on stdout, then one line
// {"summary": {played, dropped, disagreed: {reason: n}, families: {name: {played, dropped}}}}.
// Of a session where yjs disagrees with itself only the script was recorded.
//
//   node live.mjs --count 3000 --seed 7 [--family text] [--operations 150]
//
// Session i has the seed (seed + i) mod 2^32, so that one that fails is found
// again with --count 1 --seed <its seed>.

import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { settings } from './families.mjs'
import { familyNames, play } from './sessions.mjs'

settings.halves = false

// yjs warns with console.log; stdout is for sessions.
console.log = console.error

const { values: args } = parseArgs({
  options: {
    count: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    family: { type: 'string' },
    operations: { type: 'string' }
  }
})

const options = {
  family: args.family,
  operations: args.operations === undefined ? undefined : Number(args.operations)
}
if (options.family !== undefined && !familyNames.includes(options.family)) {
  throw new Error(`no family ${options.family}; there are ${familyNames.join(', ')}`)
}

const families = {}
const reasons = {}
const disagreed = {}
let played = 0
for (let i = 0; i < Number(args.count); i++) {
  const { record, dropped, family } = play((Number(args.seed) + i) % 2 ** 32, options)
  const tally = families[record?.family ?? family] ??= { played: 0, dropped: 0 }
  if (record === undefined) {
    reasons[dropped] = (reasons[dropped] ?? 0) + 1
    tally.dropped++
    continue
  }
  if (record.disagrees !== undefined) disagreed[record.disagrees] = (disagreed[record.disagrees] ?? 0) + 1
  played++
  tally.played++
  if (!process.stdout.write(JSON.stringify(record) + '\n')) await once(process.stdout, 'drain')
}
process.stdout.write(JSON.stringify({ summary: { played, dropped: reasons, disagreed, families } }) + '\n')
