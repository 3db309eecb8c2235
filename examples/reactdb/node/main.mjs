// Two windows write at the same time, and are killed, and so is the Go program.
//
//   node main.mjs GO_PROGRAM DIR
//
// leaves the database in DIR/db, and in DIR/acknowledged.json what has to be in it.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { keys } from './collections.mjs'
import { Go, Window } from './host.mjs'
import { measure } from './bench.mjs'

const [program, dir] = process.argv.slice(2)
const db = join(dir, 'db')
const some = 40 // writes between two kills
const patience = 20_000 // ms until windows show what is stored, and React has rendered it
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** What each row that only one window writes may be: see judge.go. */
const acknowledged = Object.fromEntries(Object.keys(keys).map(name => [name, {}]))
let count = 0

const heard = ({ collection, key, ...message }) => {
  const rows = acknowledged[collection]
  if ('tried' in message) rows[key] = [...rows[key] ?? [null], message.tried]
  else {
    rows[key] = [message.acknowledged]
    count++
  }
}

const acknowledgedSome = async () => {
  for (const enough = count + some; count < enough;) await sleep(5)
}

let go = await Go.start(program, db)
for (const name of ['A.txt', 'B.txt']) {
  await go.fetch(`/uploads?${new URLSearchParams({ space: go.server.space, name })}`, { method: 'POST', body: `the file ${name}` })
}
const windows = [await Window.open('A', go.server, heard), await Window.open('B', go.server, heard)]
for (const window of windows) await window.do('work', { from: 0 })

for (let round = 1; round <= 3; round++) {
  await acknowledgedSome()
  await go.kill()
  console.log(`kill -9 of the Go program, after ${count} acknowledged writes`)
  await sleep(30 * round) // the windows go on meanwhile
  go = await Go.start(program, db)
  for (const window of windows) window.tell({ server: go.server })

  await acknowledgedSome()
  await windows[1].kill()
  console.log(`kill -9 of window B, after ${count}`)
  windows[1] = await Window.open('B', go.server, heard)
  await windows[1].do('work', { from: 10_000 * round })
}
await acknowledgedSome()

await Promise.all(windows.map(window => window.do('stop')))

// What happened while a window was not listening, it looks for when it listens again.
await go.kill()
go = await Go.start(program, db)
await go.fetch('/collections/uiPreferences?base=0&window=main', {
  method: 'PUT',
  body: '{"s:language":{"versionKey":"1","data":{"id":"language","value":"de"}}}'
})
for (const window of windows) window.tell({ server: go.server })

const stored = {}
for (const name of Object.keys(keys)) {
  const rows = Object.values(await go.fetch(`/collections/${name}`))
  stored[name] = Object.fromEntries(rows.map(({ data }) => [keys[name](data), data]))
}
const agreed = ([a, b]) => a.screen === b.screen && isDeepStrictEqual(a.rows, stored) && isDeepStrictEqual(b.rows, stored)
let shown = []
for (const deadline = Date.now() + patience; ; await sleep(20)) {
  shown = await Promise.all(windows.map(window => window.do('show')))
  if (agreed(shown) || Date.now() > deadline) break
}
assert.equal(shown[0].screen, shown[1].screen, 'the screens differ')
assert.deepEqual(shown[0].rows, stored, 'window A does not have what is stored')
assert.deepEqual(shown[1].rows, stored, 'window B does not have what is stored')
const number = Object.values(stored).reduce((sum, rows) => sum + Object.keys(rows).length, 0)
console.log(`${count} writes were acknowledged; both windows show the same ${number} rows, which are those that are stored`)

for (const [collection, row] of [
  ['uploadJobs', { id: 'mine', name: 'B.txt' }],
  ['draftMailbox', { spaceId: go.server.space, documentId: 'page', snippet: 'typed', updatedAtMs: Date.now(), colour: 'red' }],
  ['tabs', { id: 'tab', title: 1, path: '/' }]
]) {
  const { reason, gone } = await windows[0].do('refused', { collection, row })
  assert(gone, `${collection} still has what was refused: ${reason}`)
  console.log('refused:', reason)
}

writeFileSync(join(dir, 'acknowledged.json'), JSON.stringify(acknowledged))
for (const window of windows) await window.close()
await go.end()

go = await Go.start(program, join(dir, 'bench'))
await measure(go.server, dir)
await go.end()
