// An Electron app and its daemon, from the first start to kill -9. Anna's daemon is the
// app's; Bert's, on another machine as it were, is where remote edits come from.
//
//   SOMA_DAEMON=path/to/daemon node live.mjs

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import * as Y from 'yjs'

import { answer } from './blobs.mjs'
import { Daemon } from './daemon.mjs'
import { openStore } from './renderer.mjs'

const dir = await mkdtemp(join(tmpdir(), 'soma'))
const local = ['-sync', '/ip4/127.0.0.1/tcp/0']
const anna = await Daemon.start(join(dir, 'anna'), local)
const bert = await Daemon.start(join(dir, 'bert'), local)
const { id: spaceId } = await anna.call('createSpace', { name: 'Notes' })

try {
  await step('join', meet)
  await step('events', events)
  await step('mailbox', mailbox)
  await step('blobs', blobs)
  await step('documents', documents)
  await step('stop', stop)
  await step('crash', crash)
} finally {
  for (const daemon of [anna, bert]) daemon.child.kill('SIGKILL')
  await rm(dir, { recursive: true })
}

async function step (name, run) {
  const begin = performance.now()
  const facts = await run()
  console.log(`ok ${name}: ${facts} (${Math.round(performance.now() - begin)} ms)`)
}

async function meet () {
  const { ticket } = await anna.call('createInvite', { spaceId, role: 'ROLE_EDITOR' })
  await bert.call('joinSpace', { ticket })
  await until('Bert may write', async () => (await bert.call('getSpace', { spaceId })).role === 'ROLE_EDITOR')
  return 'Bert is an editor, by ticket'
}

// events: an edit from afar makes the renderer read again what it is about, once, and
// nothing else; an edit of its own makes it read nothing.
async function events () {
  for (const id of ['today', 'other']) await anna.call('createPage', { spaceId, id, title: id })
  await write(anna, 'today', 'first')
  await write(anna, 'other', 'first')
  await until('Bert has the pages', async () => (await read(bert, 'today')) === 'first' && (await read(bert, 'other')) === 'first')

  const calls = {}
  const { api, store, tell } = openStore((method, request) => {
    const name = [method, request?.documentId].filter(Boolean).join(' ')
    calls[name] = (calls[name] ?? 0) + 1
    return anna.invoke(method, request)
  })
  const show = endpoint => arg => store.dispatch(api.endpoints[endpoint].initiate(arg))
  const shown = [
    show('spaces')(), show('space')(spaceId), show('pages')(spaceId),
    ...['today', 'other'].flatMap(documentId => ['document', 'draft'].map(e => show(e)({ spaceId, documentId })))
  ]
  const heard = []
  const subscription = await anna.events(event => { heard.push(event); tell(event) })
  await Promise.all(shown)
  const before = structuredClone(calls)
  assert.deepEqual(Object.values(before), [1, 1, 1, 1, 1, 1, 1])

  await write(anna, 'other', ', by Anna herself')
  await write(bert, 'today', ', from afar')
  const document = api.endpoints.document.select({ spaceId, documentId: 'today' })
  await until('the window shows the edit', () => text(document(store.getState()).data) === 'first, from afar')

  // A second event says that what the first one caused has been done.
  await bert.call('renamePage', { spaceId, pageId: 'today', title: 'Renamed' })
  const pages = api.endpoints.pages.select(spaceId)
  await until('the window shows the title', () => pages(store.getState()).data?.some(page => page.title === 'Renamed'))

  const extra = Object.fromEntries(Object.keys(calls).map(name => [name, calls[name] - before[name]]).filter(([, n]) => n))
  assert.deepEqual(extra, { 'getDocument today': 1, 'getDraft today': 1, listPages: 1 })
  assert.deepEqual(heard.map(e => [e.source, e.kind, e.documentId]), [
    ['renderer', 'document-changed', 'other'], ['daemon', 'document-changed', 'today'], ['daemon', 'pages-changed', '']
  ])
  subscription.close()
  for (const query of shown) query.unsubscribe()
  store.dispatch(api.util.resetApiState()) // else it keeps what nobody shows for a minute
  return `${heard.length} events, of an edit from afar one refetch each of its document and draft`
}

// mailbox: the three rows of the policy for remote changes, which the daemon has followed
// by the time it tells of the change.
async function mailbox () {
  const drafts = { none: undefined, stale: Date.now(), ahead: Date.now() + 60_000 }
  for (const [documentId, updatedAtMs] of Object.entries(drafts)) {
    if (updatedAtMs) await anna.call('saveDraft', { draft: { spaceId, documentId, snippet: documentId, updatedAtMs } })
  }
  const found = {}
  const subscription = await anna.events(async ({ source, kind, documentId }) => {
    if (source !== 'daemon' || kind !== 'document-changed' || !(documentId in drafts)) return
    const { updatedAtMs } = await anna.call('getDocument', { spaceId, documentId })
    found[documentId] = { updatedAtMs, draft: await anna.call('getDraft', { spaceId, documentId }).catch(error => error.code) }
  })
  for (const documentId of Object.keys(drafts)) await write(bert, documentId, 'from afar')
  await until('all three are told of', () => Object.keys(found).length === 3)
  subscription.close()

  assert.equal(found.none.draft, status.NOT_FOUND)
  assert.equal(found.stale.draft, status.NOT_FOUND, 'a draft that is not newer is cleared')
  const { draft, updatedAtMs } = found.ahead
  assert.deepEqual(
    [draft.snippet, draft.updatedAtMs, draft.conflictState, draft.baseDaemonUpdatedAtMs],
    ['ahead', drafts.ahead, 'ahead', updatedAtMs])
  const back = await anna.call('restoreDraft', { spaceId, documentId: 'stale' })
  assert.equal(back.snippet, 'stale', 'what was cleared can be had back')
  return 'no draft, one that is not newer, one that is ahead'
}

// blobs go up in chunks, and come back as the renderer's <img> and <video> ask for them.
async function blobs () {
  const bytes = randomBytes(5_000_011)
  const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, i) => bytes.subarray(i * 65_536, (i + 1) * 65_536))
  const info = await anna.upload({ spaceId, name: 'noise.bin', mime: 'video/webm', size: bytes.length }, Readable.from(chunks))
  assert.equal(info.size, bytes.length)
  const get = async (daemon, range, cid = info.cid) => {
    const response = await answer(daemon, new Request(`soma-blob://daemon/${spaceId}/${cid}`, { headers: range ? { range } : {} }))
    return [response.status, response.headers.get('content-range'), Buffer.from(await response.arrayBuffer())]
  }
  for (const [range, code, first, end] of [
    [null, 200, 0, bytes.length], ['bytes=0-0', 206, 0, 1], ['bytes=1048570-3145800', 206, 1_048_570, 3_145_801],
    ['bytes=5000000-', 206, 5_000_000, bytes.length], ['bytes=-10', 206, bytes.length - 10, bytes.length]
  ]) {
    const [got, contentRange, body] = await get(anna, range)
    assert.equal(got, code, range)
    assert.equal(contentRange, range && `bytes ${first}-${end - 1}/${bytes.length}`)
    assert.ok(body.equals(bytes.subarray(first, end)), `${range}: ${body.length} bytes`)
  }
  assert.equal((await get(anna, `bytes=${bytes.length}-`))[0], 416)
  assert.equal((await get(anna, null, 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'))[0], 404)
  assert.equal((await get(anna, null, 'nonsense'))[0], 404)
  await brokenOff(info.cid)
  await until('Bert knows of it', () => bert.call('statBlob', { spaceId, cid: info.cid }))
  assert.ok((await get(bert))[2].equals(bytes), 'what Bert fetches from Anna')
  return `${bytes.length} bytes up, down, in ranges, and to the other machine`
}

// brokenOff: a <video> that is sought in cancels its answer, and a file that cannot be read to
// its end, or that the daemon refuses, is no blob. No call lasts.
async function brokenOff (cid) {
  const ended = ends(anna)
  for (const look of [body => body.cancel(), async body => { for await (const _ of body) break }]) {
    await look((await answer(anna, new Request(`soma-blob://daemon/${spaceId}/${cid}`))).body)
  }
  const before = await anna.invoke('listBlobs', { spaceId })
  await assert.rejects(anna.upload({ spaceId, size: 140_000 }, (async function * () {
    yield randomBytes(70_000)
    throw new Error('the disk is gone')
  })()), { message: 'the disk is gone' })
  let closed = false
  await assert.rejects(anna.upload({ spaceId: 'nowhere', size: 1e9 }, (async function * () {
    try {
      for (;;) yield randomBytes(70_000)
    } finally { closed = true }
  })()), { code: status.NOT_FOUND })
  await until('the file is closed', () => closed)
  assert.deepEqual(await Promise.all(ended), [status.CANCELLED, status.CANCELLED, status.CANCELLED, status.NOT_FOUND])
  assert.deepEqual(await anna.invoke('listBlobs', { spaceId }), before)
}

// ends collects the codes that calls of a daemon for blobs end with.
function ends (daemon) {
  const ended = []
  for (const name of ['readBlob', 'uploadBlob']) {
    const method = daemon.client[name]
    daemon.client[name] = (...args) => {
      const call = method.apply(daemon.client, args)
      ended.push(new Promise(resolve => call.once('status', ({ code }) => resolve(code))))
      return call
    }
  }
  return ended
}

// documents: a thousand, each on the disk when it is answered, and all of them at Bert's.
async function documents () {
  const count = 1000
  const begin = performance.now()
  await together(32, count, n => write(anna, `page-${n}`, `This is page ${n}.`))
  const ms = (performance.now() - begin) / count
  const ids = async daemon => (await daemon.invoke('listDocuments', { spaceId })).map(({ id }) => id).filter(id => id.startsWith('page-'))
  assert.equal((await ids(anna)).length, count)
  await until('Bert has them', async () => (await ids(bert)).length === count)
  await together(32, count, async n => {
    await until(`Bert has page ${n}`, async () => (await read(bert, `page-${n}`)) === `This is page ${n}.`)
  })
  return `${count} at ${ms.toFixed(2)} ms each, the same on both`
}

// stop: the daemons end with their stdin, as they do when the app is gone.
async function stop () {
  const { cid } = await anna.upload({ spaceId, size: 10 }, [randomBytes(10)])
  await until('Bert knows of it', () => bert.call('statBlob', { spaceId, cid }))
  assert.deepEqual(await anna.stop(), [0, null])
  const ended = ends(bert)
  const { body } = await answer(bert, new Request(`soma-blob://daemon/${spaceId}/${cid}`))
  const waiting = body.getReader()
  const read = waiting.read() // it waits for Anna
  await waiting.cancel()
  assert.ok((await read).done)
  assert.deepEqual(await Promise.all(ended), [status.CANCELLED])
  assert.deepEqual(await bert.stop(), [0, null])
  return 'two daemons ended in good order'
}

// crash: daemons are killed while eight writers write, and another one has all that was
// acknowledged.
async function crash () {
  const home = join(dir, 'carol')
  const kept = { documents: new Map(), blobs: new Map(), records: new Map() }
  let carol = await Daemon.start(home)
  const { id: spaceId } = await carol.call('createSpace', { name: 'Crash' })
  for (let round = 0; round < 3; round++) {
    const enough = edits(kept) + 60 + 30 * round
    const killed = until('enough is acknowledged', () => edits(kept) >= enough).then(() => carol.kill())
    await Promise.all(Array.from({ length: 8 }, (_, writer) => scribble(carol, spaceId, `${round}-${writer}`, kept)))
    await killed
    carol = await Daemon.start(home) // over the socket that is still there
    await verify(carol, spaceId, kept)
  }
  assert.deepEqual(await carol.stop(), [0, null])
  return `3 kills, ${edits(kept)} edits, ${kept.blobs.size} blobs and ${kept.records.size} records acknowledged, none lost`
}

// edits counts those that were acknowledged.
function edits (kept) { return [...kept.documents.values()].reduce((a, b) => a + b, 0) }

// scribble writes until the daemon is gone, and notes what was acknowledged.
async function scribble (daemon, spaceId, documentId, kept) {
  const doc = new Y.Doc()
  try {
    for (let n = 1; ; n++) {
      await daemon.call('upsertDocument', { spaceId, documentId, update: change(doc, () => doc.getArray('lines').push([n])) })
      kept.documents.set(documentId, n)
      if (n % 4) continue
      const bytes = randomBytes(20_000)
      const { cid } = await daemon.upload({ spaceId, size: bytes.length }, [bytes])
      kept.blobs.set(cid, bytes)
      await daemon.call('putRecord', { collection: 'tabs', record: { key: documentId, value: JSON.stringify({ id: documentId, n }), updatedAtMs: n } })
      kept.records.set(documentId, n)
    }
  } catch (error) {
    assert.ok([status.UNAVAILABLE, status.CANCELLED].includes(error.code), error.stack)
  }
}

async function verify (daemon, spaceId, kept) {
  for (const [documentId, n] of kept.documents) {
    const doc = new Y.Doc()
    Y.applyUpdate(doc, (await daemon.call('getDocument', { spaceId, documentId })).update)
    const lines = doc.getArray('lines').toArray()
    assert.ok(lines.length >= n, `${documentId} has ${lines.length} lines, ${n} were acknowledged`)
    assert.deepEqual(lines, lines.map((_, i) => i + 1))
  }
  for (const [cid, bytes] of kept.blobs) {
    const parts = await daemon.invoke('readBlob', { spaceId, cid })
    assert.ok(Buffer.concat(parts.map(part => part.chunk ?? Buffer.alloc(0))).equals(bytes), cid)
  }
  for (const [key, n] of kept.records) {
    assert.ok(JSON.parse((await daemon.call('getRecord', { collection: 'tabs', key })).value).n >= n, key)
  }
}

// write appends to a document as an editor does that has just opened it.
async function write (daemon, documentId, words) {
  const doc = new Y.Doc()
  const stored = await daemon.call('getDocument', { spaceId, documentId }).catch(ignore(status.NOT_FOUND))
  if (stored) Y.applyUpdate(doc, stored.update)
  const body = doc.getText('body')
  return daemon.call('upsertDocument', { spaceId, documentId, update: change(doc, () => body.insert(body.length, words)) })
}

async function read (daemon, documentId) {
  return text(await daemon.call('getDocument', { spaceId, documentId }).catch(ignore(status.NOT_FOUND)))
}

function text (document) {
  const doc = new Y.Doc()
  if (document) Y.applyUpdate(doc, document.update)
  return doc.getText('body').toString()
}

// change returns the update of one change.
function change (doc, fn) {
  let update
  doc.once('update', bytes => { update = bytes })
  doc.transact(fn)
  return update
}

function ignore (...codes) {
  return error => { if (!codes.includes(error.code)) throw error }
}

// until waits for something to be so; a call that fails is one that is not so yet.
async function until (what, is) {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(20)) {
    if (await Promise.resolve().then(is).catch(ignore(status.NOT_FOUND))) return
  }
  throw new Error(`not within a minute: ${what}`)
}

// together runs fn for 0 to count-1, some at a time.
async function together (some, count, fn) {
  let next = 0
  await Promise.all(Array.from({ length: some }, async () => { while (next < count) await fn(next++) }))
}
