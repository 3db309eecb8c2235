// Plays the protocols of y-protocols and prints one session per line: what instances
// of Awareness and documents were given, and what they made of it.
//
//   node protocols.mjs --count 300 --seed 7 [--out FILE.gz]
//
// Session i has the seed (seed + i) mod 2^32. Bytes are hex.
//
//   {seed, awareness: {clients, steps: [{at, on, do, ..., events, all, order, local}]}}
//
// at is the time in milliseconds, on an index of clients. do is one of
//
//   set     state, JSON
//   apply   update
//   remove  clients
//   check   what the timer does
//   modify  update; out is the modified one, see modified
//   encode  clients; out is the update
//
// events lists what was emitted, [name, added, updated, removed]. Afterwards all is the
// update of all clients ever heard of, order are the clients with a state, local is the
// own state.
//
//   {seed, sync: {documents, steps: [{on, message, reply}], vectors, updates}}
//
// message is one of the sync protocol and reply what is answered, empty for nothing.
// Once all is done, vectors and updates are the documents' state.
//
//   {seed, messages: [{kind, sync, payload, inner, outer}]}
//
// kind and sync number the message, payload is its content, of an authorization message
// the reason as text, inner the bytes of the sync message and outer those in a frame.

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { Prng } from './prng.mjs'

// Time and timers are ours. The packages keep Date.now when they are loaded.
let time = 1_700_000_000_000
let timers = []
Date.now = () => time
globalThis.setInterval = (check) => timers.push(check)
globalThis.clearInterval = () => {}

const Y = await import('yjs')
const encoding = await import('lib0/encoding')
const decoding = await import('lib0/decoding')
const sync = await import('y-protocols/sync')
const auth = await import('y-protocols/auth')
const { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, modifyAwarenessUpdate, removeAwarenessStates } =
  await import('y-protocols/awareness')

const hex = (bytes) => Buffer.from(bytes).toString('hex')

const encoded = (write) => {
  const encoder = encoding.createEncoder()
  write(encoder)
  return encoding.toUint8Array(encoder)
}

// JSON of states: ordinary ones, and what only a hand-written update holds. A number out
// of range stands alone, because y-protocols tells it from null only where it is not sent.

const strings = ['', 'Ada', 'é😀', 'a"b\\c\n', '\ud83d', '\ude00x', '\u2028', 'x'.repeat(130)]
const keys = ['user', 'cursor', 'name', 'b', 'a', '10', '2', '__proto__', 'constructor', 'toString', 'é']
const numbers = [0, -0, 1, -1, 0.1, 1e21, 1e-7, 2 ** 53, 123456789.25, 5e-324, 4294967296]

const value = (rng, depth) => rng.weighted([
  [3, () => rng.pick(strings)],
  [3, () => rng.pick(numbers)],
  [1, () => rng.chance(0.5)],
  [1, () => null],
  [depth, () => Array.from({ length: rng.int(0, 3) }, () => value(rng, depth - 1))],
  [2 * depth, () => object(rng, depth - 1)]
])()

const object = (rng, depth) => Object.fromEntries(Array.from({ length: rng.int(0, 4) }, () => [rng.pick(keys), value(rng, depth)]))

const oddities = [
  ' { "b" : 1 , "a" : [ ] } ', '{"a":1,"a":2,"10":3,"2":4}', '{"a":1E3,"b":-0,"c":0.10}', '{"a":"\\u0041\\ud83d\\ude00\\ud83d\\/"}',
  '{"a":{},"b":1}', '{"b":1,"a":{}}', '{"__proto__":{}}', '{"user":1}', '{"constructor":null}', '{"a":{"constructor":{"a":1}}}',
  '0', '-0', 'false', 'true', '""', '"x"', '[]', '[null]', '1e20', '1e400', '1'
]

const stateText = (rng) => rng.weighted([
  [6, () => JSON.stringify(object(rng, 2))],
  [2, () => JSON.stringify({ user: { name: rng.pick(strings) }, cursor: rng.int(0, 3) })],
  [2, () => rng.pick(oddities)],
  [1, () => 'null']
])()

/** An update as nobody's Awareness needs to have written it. */
const forged = (rng, clients, known) => encoded((encoder) => {
  const count = rng.int(0, 4)
  encoding.writeVarUint(encoder, count)
  for (let i = 0; i < count; i++) {
    const client = rng.weighted([[6, rng.pick(clients)], [2, rng.int(1, 5)], [1, rng.pick([0, 2 ** 32, Number.MAX_SAFE_INTEGER])]])
    const clock = known(client) + rng.weighted([[1, -1], [4, 0], [6, 1], [1, rng.int(2, 300)], [0.05, 2 ** 40]])
    encoding.writeVarUint(encoder, client)
    encoding.writeVarUint(encoder, Math.max(0, clock))
    encoding.writeVarString(encoder, rng.chance(0.3) ? 'null' : stateText(rng))
  }
})

const modified = (state) => state === null ? null : { name: 'server', was: state }

const playAwareness = (rng) => {
  const clients = Array.from({ length: rng.int(2, 4) }, () => rng.uint32())
  time = 1_700_000_000_000
  timers = []
  const events = []
  const peers = clients.map((client) => {
    const doc = new Y.Doc()
    doc.clientID = client
    const awareness = new Awareness(doc)
    for (const name of ['change', 'update']) {
      awareness.on(name, ({ added, updated, removed }) => events.push([name, added, updated, removed]))
    }
    return awareness
  })
  const sent = [] // updates on their way
  const steps = []
  const count = rng.pick([10, 20, 40])
  while (steps.length < count) {
    time += rng.weighted([[6, rng.int(0, 500)], [2, rng.int(500, 14_999)], [1, 15_000], [1, rng.int(15_000, 31_000)], [0.5, 30_000]])
    const on = rng.int(0, peers.length - 1)
    const awareness = peers[on]
    const heard = [...awareness.meta.keys()]
    const some = () => rng.shuffle(heard).slice(0, rng.int(0, heard.length))
    const step = rng.weighted([
      [4, () => {
        const state = stateText(rng)
        awareness.setLocalState(JSON.parse(state))
        return { do: 'set', state }
      }],
      [6, () => {
        if (sent.length === 0) return undefined
        const update = rng.pick(sent.slice(-6)) // some twice, some never
        applyAwarenessUpdate(awareness, update, 'peer')
        return { do: 'apply', update: hex(update) }
      }],
      [3, () => {
        const update = forged(rng, clients, (client) => awareness.meta.get(client)?.clock ?? 0)
        applyAwarenessUpdate(awareness, update, 'forger')
        return { do: 'apply', update: hex(update) }
      }],
      [1, () => {
        const clients = rng.shuffle([...some(), rng.int(1, 5)])
        removeAwarenessStates(awareness, clients, 'server')
        return { do: 'remove', clients }
      }],
      [3, () => {
        timers[on]()
        return { do: 'check' }
      }],
      [2, () => {
        const clients = some()
        const update = encodeAwarenessUpdate(awareness, clients)
        sent.push(update)
        return { do: 'encode', clients, out: hex(update) }
      }],
      [1, () => {
        const update = forged(rng, clients, () => 1)
        return { do: 'modify', update: hex(update), out: hex(modifyAwarenessUpdate(update, modified)) }
      }]
    ])()
    if (step === undefined) continue
    // What changed is sent on, as by y-websocket.
    for (const [name, added, updated, removed] of events) {
      if (name === 'update') sent.push(encodeAwarenessUpdate(awareness, [...added, ...updated, ...removed]))
    }
    steps.push({
      at: time,
      on,
      ...step,
      events: events.splice(0),
      all: hex(encodeAwarenessUpdate(awareness, [...awareness.meta.keys()])),
      order: [...awareness.states.keys()],
      local: JSON.stringify(awareness.getLocalState())
    })
  }
  return { clients, steps }
}

// Documents that only messages reach. What is typed is written by another document.

const typed = (rng, doc, client) => {
  const editor = new Y.Doc()
  Y.applyUpdate(editor, Y.encodeStateAsUpdate(doc))
  editor.clientID = client
  let update
  editor.on('update', (u) => { update = u })
  editor.transact(() => {
    const text = editor.getText('text')
    if (text.length > 3 && rng.chance(0.3)) text.delete(rng.int(0, text.length - 2), rng.int(1, 2))
    else text.insert(rng.int(0, text.length), rng.pick(['a', 'bc', 'é😀', 'hello']))
    if (rng.chance(0.3)) editor.getMap('map').set(rng.pick(['k', 'l']), rng.pick(numbers))
  })
  return update
}

const playSync = (rng) => {
  const docs = Array.from({ length: rng.int(2, 3) }, () => new Y.Doc())
  const writers = docs.map(() => rng.int(1, 2 ** 32 - 1))
  const queues = docs.map(() => [])
  const steps = []
  const deliver = (on, message, from) => {
    const reply = encoded((encoder) => {
      sync.readSyncMessage(decoding.createDecoder(message), encoder, docs[on], 'peer', (error) => { throw error })
    })
    steps.push({ on, message: hex(message), reply: hex(reply) })
    if (reply.length > 0 && from !== undefined) queues[from].push([reply, on])
  }
  const count = rng.pick([6, 12, 30])
  while (steps.length < count) {
    const on = rng.int(0, docs.length - 1)
    rng.weighted([
      [4, () => {
        const message = encoded((encoder) => sync.writeUpdate(encoder, typed(rng, docs[on], writers[on])))
        deliver(on, message)
        docs.forEach((_, to) => { if (to !== on && rng.chance(0.6)) queues[to].push([message, on]) })
      }],
      [2, () => {
        const to = (on + 1) % docs.length
        queues[to].push([encoded((encoder) => sync.writeSyncStep1(encoder, docs[on])), on])
      }],
      [6, () => {
        if (queues[on].length === 0) return
        const [[message, from]] = queues[on].splice(rng.int(0, queues[on].length - 1), 1)
        deliver(on, message, from)
      }]
    ])()
  }
  return {
    documents: docs.length,
    steps,
    vectors: docs.map((doc) => hex(Y.encodeStateVector(doc))),
    updates: docs.map((doc) => hex(Y.encodeStateAsUpdate(doc)))
  }
}

const kinds = { sync: 0, awareness: 1, auth: 2, queryAwareness: 3 } // as y-websocket numbers them

const playMessages = (rng) => Array.from({ length: 8 }, () => {
  const content = encoded((encoder) => {
    for (let n = rng.pick([0, 1, 5, 127, 128, 300]); n > 0; n--) encoding.writeUint8(encoder, rng.int(0, 255))
  })
  const outer = (kind, write) => hex(encoded((encoder) => {
    encoding.writeVarUint(encoder, kind)
    write(encoder)
  }))
  return rng.weighted([
    [3, () => {
      const number = rng.int(0, 2)
      const write = (encoder) => {
        if (number === sync.messageYjsUpdate) return sync.writeUpdate(encoder, content)
        encoding.writeVarUint(encoder, number)
        encoding.writeVarUint8Array(encoder, content)
      }
      return { kind: kinds.sync, sync: number, payload: hex(content), inner: hex(encoded(write)), outer: outer(kinds.sync, write) }
    }],
    [1, () => ({
      kind: kinds.awareness,
      payload: hex(content),
      outer: outer(kinds.awareness, (encoder) => encoding.writeVarUint8Array(encoder, content))
    })],
    [1, () => {
      const reason = rng.pick(strings).toWellFormed()
      return { kind: kinds.auth, payload: reason, outer: outer(kinds.auth, (encoder) => auth.writePermissionDenied(encoder, reason)) }
    }],
    [1, () => ({ kind: kinds.queryAwareness, payload: '', outer: outer(kinds.queryAwareness, () => {}) })]
  ])()
})

const play = (seed) => {
  const rng = new Prng(seed)
  return rng.weighted([
    [6, () => ({ seed, awareness: playAwareness(rng) })],
    [3, () => ({ seed, sync: playSync(rng) })],
    [1, () => ({ seed, messages: playMessages(rng) })]
  ])()
}

const { values: args } = parseArgs({
  options: {
    count: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string' }
  }
})

const lines = []
for (let i = 0; i < Number(args.count); i++) {
  const line = JSON.stringify(play((Number(args.seed) + i) % 2 ** 32)) + '\n'
  if (args.out !== undefined) lines.push(line)
  else if (!process.stdout.write(line)) await once(process.stdout, 'drain')
}
if (args.out !== undefined) writeFileSync(args.out, gzipSync(lines.join(''), { level: 9 }))
