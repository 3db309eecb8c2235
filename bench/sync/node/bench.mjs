// What Hocuspocus and automerge-repo take for what the sync of Soma does, in the lines of a
// Go benchmark:
//
//   node bench.mjs [runs [divisor]]
//
// Clients are in this process, the server is in another. Bytes are those that the sockets
// carried, both ways, with the handshake; messages are those of the websocket, both ways.
// A divisor makes all counts smaller, to see whether everything works.

import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as A from '@automerge/automerge'
import { Repo } from '@automerge/automerge-repo'
import { NodeFSStorageAdapter } from '@automerge/automerge-repo-storage-nodefs'
import { WebSocketClientAdapter } from '@automerge/automerge-repo-network-websocket'
import WebSocket from 'ws'
import * as Y from 'yjs'

const runs = Number(process.argv[2] ?? 5)
const divisor = Number(process.argv[3] ?? 1)
const scaled = (count) => Math.max(4, Math.round(count / divisor))
const bytes = 110

// Both clients use ws, so what goes through it is counted once for both.
const traffic = { messages: 0, sockets: new Set(), ended: 0 }
const { send, emit } = WebSocket.prototype
WebSocket.prototype.send = function (...args) {
  traffic.messages++
  return send.apply(this, args)
}
WebSocket.prototype.emit = function (event, ...args) {
  if (event === 'message') traffic.messages++
  if (event === 'open') traffic.sockets.add(this._socket)
  return emit.call(this, event, ...args)
}
const carried = () => [...traffic.sockets].reduce((sum, socket) => sum + socket.bytesRead + socket.bytesWritten, 0)
const reset = () => {
  traffic.messages = 0
  traffic.sockets.clear()
}

const until = async (what, condition, ms = 120_000) => {
  for (const end = Date.now() + ms; !await condition();) {
    if (Date.now() > end) throw new Error(`${what}: it took too long`)
    await sleep(5)
  }
}

const start = async (kind) => {
  const dir = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), 'soma-peers-'))
  const child = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), [kind, join(dir, 'server')])
  const waiting = new Map()
  const exit = new Promise(resolve => child.once('exit', resolve))
  let calls = 0
  const url = await new Promise((resolve, reject) => {
    child.once('exit', code => reject(new Error(`the server ended with ${code}`)))
    child.on('message', ({ id, url, value, error }) => {
      if (url) return resolve(url)
      const { resolve: done, reject: failed } = waiting.get(id)
      waiting.delete(id)
      error ? failed(new Error(error)) : done(value)
    })
  })
  return {
    url,
    dir,
    call: (call, ...args) => new Promise((resolve, reject) => {
      waiting.set(++calls, { resolve, reject })
      child.send({ id: calls, call, args })
    }),
    async stop() {
      child.disconnect()
      await exit
      rmSync(dir, { recursive: true })
    },
  }
}

/** A client of Hocuspocus: one socket for all documents. */
class Hocus {
  constructor({ url }) {
    this.socket = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket, autoConnect: false })
    this.providers = []
  }

  /** Opens documents and returns when all are synced. */
  async open(names) {
    const synced = names.map(name => new Promise(resolve => {
      const provider = new HocuspocusProvider({ name, document: new Y.Doc(), websocketProvider: this.socket })
      provider.on('synced', ({ state }) => state && resolve())
      provider.attach()
      this.providers.push(provider)
    }))
    this.socket.connect()
    await Promise.all(synced)
  }

  async close() {
    this.socket.disconnect()
    await until('disconnect', () => this.providers.every(provider => !provider.isSynced))
  }

  async reconnect() {
    const synced = this.providers.map(provider => new Promise(resolve => {
      const listen = ({ state }) => {
        if (!state) return
        provider.off('synced', listen)
        resolve()
      }
      provider.on('synced', listen)
    }))
    this.socket.connect()
    await Promise.all(synced)
  }

  length(i) {
    return this.providers[i].document.getText('content').length
  }

  insert(i) {
    this.providers[i].document.getText('content').insert(0, 'x')
  }

  onChange(i, fn) {
    this.providers[i].document.on('update', fn)
    return () => this.providers[i].document.off('update', fn)
  }

  destroy() {
    for (const provider of this.providers) provider.destroy()
    this.socket.destroy()
  }
}

/** A client of automerge-repo. */
class Automerge {
  static clients = 0

  constructor(server) {
    const { url, dir } = this.server = server
    this.adapter = new WebSocketClientAdapter(url)
    this.repo = new Repo({
      network: [this.adapter],
      storage: new NodeFSStorageAdapter(join(dir, `client-${++Automerge.clients}`)),
    })
    this.handles = []
  }

  async open(urls) {
    // When it takes a second to connect, all that is asked for before is called unavailable.
    await new Promise(resolve => this.repo.networkSubsystem.once('peer', resolve))
    for (let i = 0; i < urls.length; i += 1_000) { // after a minute without an answer, too
      this.handles.push(...await Promise.all(urls.slice(i, i + 1_000).map(url => this.repo.find(url))))
    }
  }

  async close() {
    this.adapter.disconnect()
  }

  /**
   * It returns when the server was told of each document that what it has is here too: of
   * one that did not change it says nothing itself.
   */
  async reconnect() {
    this.adapter.connect(this.repo.peerId, this.adapter.peerMetadata)
    await this.server.call('all')
  }

  length(i) {
    return this.handles[i].doc().content.length
  }

  insert(i) {
    this.handles[i].change(doc => { A.splice(doc, ['content'], 0, 0, 'x') })
  }

  onChange(i, fn) {
    this.handles[i].on('change', fn)
    return () => this.handles[i].off('change', fn)
  }

  async destroy() {
    await this.repo.shutdown()
  }
}

const report = (peer, what, figures) => console.log([
  `Benchmark${peer}/${what}`, 1, ...Object.entries(figures).map(([unit, value]) => `${value.toFixed(3)} ${unit}`),
].join(' '))

/** Runs fn and reports how long it took, and what went through sockets meanwhile. */
const timed = async (peer, what, fn) => {
  reset()
  const from = performance.now()
  await fn()
  const ms = performance.now() - from
  await sleep(300) // what comes after, as a last answer, is part of it
  report(peer, what, { ms, messages: traffic.messages, 'wire-bytes': carried() })
}

const percentile = (values, p) => values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))]

const pull = async (peer, kind, Client) => {
  const server = await start(kind)
  const names = await server.call('fill', scaled(1_000), bytes)
  const client = new Client(server)
  await timed(peer, 'pull', () => client.open(names))
  if (client.length(names.length - 1) !== bytes) throw new Error('a document is not what it was')
  await client.close()
  await until('idle', () => server.call('idle'))
  await server.call('listen')
  await timed(peer, 'reconnect', () => client.reconnect())
  await client.destroy()
  await server.stop()
}

const few = async (peer, kind, Client) => {
  const count = scaled(10_000)
  const changed = Math.min(count, scaled(100))
  const server = await start(kind)
  const names = await server.call('fill', count, bytes)
  const client = new Client(server)
  await client.open(names)
  await client.close()
  await until('idle', () => server.call('idle'))
  await server.call('edit', changed, bytes)
  await server.call('listen')
  await timed(peer, 'few-changed', () => client.reconnect())
  for (const [i, want] of [[0, 2 * bytes], [1, changed < count ? bytes : 2 * bytes]]) {
    if (client.length(i) !== want) throw new Error(`document ${i} has ${client.length(i)} characters, want ${want}`)
  }
  await client.destroy()
  await server.stop()
}

const live = async (peer, kind, Client) => {
  const server = await start(kind)
  const docs = await server.call('fill', 200, bytes)
  const names = docs.slice(0, 100)
  const a = new Client(server)
  const b = new Client(server)
  await a.open(docs)
  await b.open(docs)
  await sleep(1_000)

  const took = []
  for (let i = 0; i < scaled(1_000); i++) {
    await new Promise(resolve => {
      const from = process.hrtime.bigint()
      const off = b.onChange(i % docs.length, () => {
        took.push(Number(process.hrtime.bigint() - from) / 1e6)
        off()
        resolve()
      })
      a.insert(i % docs.length)
    })
    await sleep(6) // as in Go, where each document is to rest
  }
  report(peer, 'edit', { 'p50-ms': percentile(took, 0.5), 'p99-ms': percentile(took, 0.99) })

  const edits = scaled(20_000)
  const want = names.map((_, i) => a.length(i) + Math.floor(edits / names.length) + (i < edits % names.length ? 1 : 0))
  const from = performance.now()
  for (let i = 0; i < edits; i++) {
    a.insert(i % names.length)
    if (i % 1_000 === 999) await sleep(0) // an editor's edits are events of their own
  }
  await until('burst', () => names.every((_, i) => b.length(i) === want[i]))
  const seconds = (performance.now() - from) / 1e3
  report(peer, 'burst', { 'edits/s': edits / seconds, ms: seconds * 1e3 })
  await a.destroy()
  await b.destroy()
  await server.stop()
}

for (let run = 0; run < runs; run++) {
  for (const [peer, kind, Client] of [['Hocuspocus', 'hocuspocus', Hocus], ['AutomergeRepo', 'automerge-repo', Automerge]]) {
    for (const scenario of [pull, few, live]) await scenario(peer, kind, Client)
  }
}
process.exit()
