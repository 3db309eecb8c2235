// A host as Electron's main process is one: it starts the Go program, opens two windows, and
// tells them where their storage is. Here it also kills them all, without a warning.
//
//   node main.mjs GO_PROGRAM DIR

import assert from 'node:assert/strict'
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { keys } from './collections.mjs'
import { measure } from './bench.mjs'

const [program, dir] = process.argv.slice(2)
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** A process that does not end by itself. */
class Child {
  constructor (child, what) {
    this.child = child
    this.ending = false
    this.exit = once(child, 'exit').then(([code]) => {
      assert(this.ending, `${what} has ended with ${code}`)
      return code
    })
  }

  /** Ends it as a crash does, by kill -9. */
  async kill () {
    this.ending = true
    this.child.kill('SIGKILL')
    await this.exit
  }
}

/** The Go program, which ends when its stdin does. */
class Go extends Child {
  static async start (db) {
    const go = new Go(spawn(program, ['serve', db], { stdio: ['pipe', 'pipe', 'inherit'] }), 'the Go program')
    const [line] = await once(createInterface({ input: go.child.stdout }), 'line')
    go.server = JSON.parse(line)
    return go
  }

  async fetch (path, options) {
    const { url, token } = this.server
    const response = await fetch(url + path, { ...options, headers: { Authorization: `Bearer ${token}` } })
    assert.equal(response.status, 200, path)
    return response.json()
  }

  async end () {
    this.ending = true
    this.child.stdin.end()
    assert.equal(await this.exit, 0, 'exit code of the Go program')
  }
}

/** What each row that only one window writes may be: see judge.go. */
const acknowledged = Object.fromEntries(Object.keys(keys).map(name => [name, {}]))
let count = 0

class Window extends Child {
  static async open (name, server) {
    const window = new Window(fork(join(import.meta.dirname, 'window.mjs'), [name]), `window ${name}`)
    window.calls = new Map()
    window.tell({ server })
    await once(window.child, 'message') // it is open
    window.child.on('message', message => window.hear(message))
    return window
  }

  tell (message) { this.child.send(message) }

  /** Has the window do something. */
  do (action, args) {
    const id = this.calls.size + 1
    const result = new Promise(resolve => this.calls.set(id, resolve))
    this.tell({ id, action, args })
    return result
  }

  hear ({ id, result, collection, key, ...message }) {
    if (id) return this.calls.get(id)(result)
    const rows = acknowledged[collection]
    if ('tried' in message) rows[key] = [...rows[key] ?? [null], message.tried]
    else {
      rows[key] = [message.acknowledged]
      count++
    }
  }

  async close () {
    this.ending = true
    this.child.disconnect()
    await this.exit
  }
}

/** Resolves when more writes were acknowledged. */
const acknowledgedMore = async more => {
  for (const enough = count + more; count < enough;) await sleep(5)
}

const db = join(dir, 'db')
let go = await Go.start(db)
for (const name of ['A.txt', 'B.txt']) {
  await go.fetch(`/uploads?${new URLSearchParams({ space: go.server.space, name })}`, { method: 'POST', body: `the file ${name}` })
}
const windows = [await Window.open('A', go.server), await Window.open('B', go.server)]
for (const window of windows) await window.do('work', { from: 0 })

for (let round = 1; round <= 3; round++) {
  await acknowledgedMore(40)
  await go.kill()
  console.log(`kill -9 of the Go program, after ${count} acknowledged writes`)
  await sleep(30 * round) // the windows go on meanwhile
  go = await Go.start(db)
  for (const window of windows) window.tell({ server: go.server })

  await acknowledgedMore(40)
  await windows[1].kill()
  console.log(`kill -9 of window B, after ${count}`)
  windows[1] = await Window.open('B', go.server)
  await windows[1].do('work', { from: 10_000 * round })
}
await acknowledgedMore(40)

// What each has seen last, all shall see.
const seqs = {}
for (const known of await Promise.all(windows.map(window => window.do('stop')))) {
  for (const [name, seq] of Object.entries(known)) seqs[name] = Math.max(seq, seqs[name] ?? 0)
}
const stored = {}
for (const name of Object.keys(keys)) {
  const rows = Object.values(await go.fetch(`/collections/${name}`))
  stored[name] = Object.fromEntries(rows.map(({ data }) => [keys[name](data), data]))
}
let [a, b] = []
for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(20)) { // React renders when it has time
  [a, b] = await Promise.all(windows.map(window => window.do('show', { seqs })))
  if (a.screen === b.screen) break
}
assert.equal(a.screen, b.screen, 'the screens differ')
assert.deepEqual(a.rows, stored, 'window A does not have what is stored')
assert.deepEqual(b.rows, stored, 'window B does not have what is stored')
const number = Object.values(stored).map(rows => Object.keys(rows).length).reduce((a, b) => a + b)
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

go = await Go.start(join(dir, 'bench'))
await measure(go.server, dir)
await go.end()
