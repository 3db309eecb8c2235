// Prints fresh documents as JSON lines on stdout, then one line
// {"summary": {"played": n, "dropped": {reason: n}}}.
//
//   node live.mjs --count 300 --seed 7 [--family tiptap]
//
// Document i is of the next family and has the seed (seed + i) mod 2^32, so that one
// that fails is found again with --count 1 --seed <its seed> --family <its family>.

import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { familyNames, play } from './play.mjs'

// The editors warn with console.log; stdout is for documents.
console.log = console.error

const { values: args } = parseArgs({
  options: { count: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' }, family: { type: 'string' } }
})
if (args.family !== undefined && !familyNames.includes(args.family)) {
  throw new Error(`no family ${args.family}; there are ${familyNames.join(', ')}`)
}

const dropped = {}
let played = 0
for (let i = 0; i < Number(args.count); i++) {
  const { record, dropped: reason } = await play(args.family ?? familyNames[i % familyNames.length], (Number(args.seed) + i) % 2 ** 32)
  if (record === undefined) {
    dropped[reason] = (dropped[reason] ?? 0) + 1
    continue
  }
  played++
  if (!process.stdout.write(JSON.stringify(record) + '\n')) await once(process.stdout, 'drain')
}
process.stdout.write(JSON.stringify({ summary: { played, dropped } }) + '\n', () => process.exit(0))
