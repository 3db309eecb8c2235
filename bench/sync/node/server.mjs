// The other side of bench.mjs: a server in a process of its own, as its makers start one,
// which does what its parent asks for by messages.
//
//   node server.mjs hocuspocus | automerge-repo <directory>

import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import * as Y from 'yjs'

const [kind, dir] = process.argv.slice(2)
const text = (bytes) => randomBytes(bytes).toString('base64').slice(0, bytes)

/** Hocuspocus stores nothing by itself: here documents go into a Map, which costs nothing. */
const hocuspocus = async () => {
  const { Server } = await import('@hocuspocus/server')
  const { Database } = await import('@hocuspocus/extension-database')
  const stored = new Map()
  const server = new Server({
    port: 0,
    address: '127.0.0.1',
    quiet: true,
    stopOnSignals: false,
    maxPendingDocuments: 1e6, // by default 100 at once end a connection
    maxUnauthenticatedQueueMessages: 1e6,
    extensions: [new Database({
      fetch: async ({ documentName }) => stored.get(documentName) ?? null,
      store: async ({ documentName, state }) => { stored.set(documentName, state) },
    })],
  })
  await server.listen()
  const write = (name, value) => {
    const doc = new Y.Doc()
    if (stored.has(name)) Y.applyUpdate(doc, stored.get(name))
    doc.getText('content').insert(0, value)
    stored.set(name, Y.encodeStateAsUpdate(doc))
  }
  return {
    url: `ws://127.0.0.1:${server.address.port}`,
    names: [],
    async fill(count, bytes) {
      this.names = Array.from({ length: count }, (_, i) => `page-${i}`)
      for (const name of this.names) write(name, text(bytes))
      return this.names
    },
    /** While nobody is connected, so that no document is loaded. */
    async edit(count, bytes) {
      if (server.hocuspocus.getDocumentsCount()) throw new Error('documents are loaded')
      const step = this.names.length / count
      for (let i = 0; i < count; i++) write(this.names[Math.floor(i * step)], text(bytes))
    },
    listen: async () => {}, // its clients are told themselves
    idle: async () => server.hocuspocus.getDocumentsCount() === 0,
  }
}

const automerge = async () => {
  const A = await import('@automerge/automerge')
  const { Repo, parseAutomergeUrl } = await import('@automerge/automerge-repo')
  const { WebSocketServerAdapter } = await import('@automerge/automerge-repo-network-websocket')
  const { NodeFSStorageAdapter } = await import('@automerge/automerge-repo-storage-nodefs')
  const { WebSocketServer } = await import('ws')
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(sockets, 'listening')
  const adapter = new WebSocketServerAdapter(sockets, 600_000) // by default it ends a connection that is busy for 10 s
  const repo = new Repo({
    network: [adapter],
    storage: new NodeFSStorageAdapter(dir),
    sharePolicy: async () => false, // a server waits until it is asked
  })
  const handles = []
  return {
    url: `ws://127.0.0.1:${sockets.address().port}`,
    async fill(count, bytes) {
      for (let i = 0; i < count; i++) handles.push(await repo.create2({ content: text(bytes) }))
      await repo.flush()
      return handles.map(handle => handle.url)
    },
    async edit(count, bytes) {
      const step = handles.length / count
      for (let i = 0; i < count; i++) {
        handles[Math.floor(i * step)].change(doc => { doc.content = text(bytes) + doc.content })
      }
      await repo.flush()
    },
    /** From here on it is noted of which documents a client says that it has the same heads. */
    async listen() {
      const left = new Map(handles.map(handle =>
        [parseAutomergeUrl(handle.url).documentId, A.getHeads(handle.doc()).join()]))
      this.told = new Promise(resolve => adapter.on('message', function listen({ type, documentId, data }) {
        if (type !== 'sync' || A.decodeSyncMessage(data).heads.join() !== left.get(documentId)) return
        left.delete(documentId)
        if (left.size) return
        adapter.off('message', listen)
        resolve()
      }))
    },
    /** Returns when a client has said so of all. */
    all() {
      return this.told
    },
    idle: async () => sockets.clients.size === 0,
  }
}

const server = await { hocuspocus, 'automerge-repo': automerge }[kind]()
process.on('message', async ({ id, call, args }) => {
  try {
    process.send({ id, value: await server[call](...args) })
  } catch (error) {
    process.send({ id, error: String(error.stack) })
  }
})
process.on('disconnect', () => process.exit())
process.send({ url: server.url })
