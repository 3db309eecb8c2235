// What a host has, as Electron's main process does: the Go program, and windows.

import assert from 'node:assert/strict'
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

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
export class Go extends Child {
  static async start (program, dir) {
    const go = new Go(spawn(program, ['serve', dir], { stdio: ['pipe', 'pipe', 'inherit'] }), 'the Go program')
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

/** A window, which is told where Go is, and does what it is asked for. */
export class Window extends Child {
  /** Opens one. Whatever it tells by itself, heard hears. */
  static async open (name, server, heard) {
    const window = new Window(fork(join(import.meta.dirname, 'window.mjs'), [name]), `window ${name}`)
    window.results = []
    window.tell({ server })
    await once(window.child, 'message') // it is open
    window.child.on('message', message => 'id' in message ? window.results[message.id](message.result) : heard(message))
    return window
  }

  tell (message) { this.child.send(message) }

  /** Has the window do something. */
  do (action, args) {
    return new Promise(resolve => this.tell({ id: this.results.push(resolve) - 1, action, args }))
  }

  async close () {
    this.ending = true
    this.child.disconnect()
    await this.exit
  }
}
