// Random editing sessions, played by real yjs, with everything that yjs makes
// of them. A session is a function of (seed, options) alone.
//
// A record is one JSON object:
//
//   seed, family, clients   clients are the client IDs, a ContentJSON writer last
//   roots                   {name: kind}
//   blobs                   every byte string of the record, hex, each once; all
//                           byte strings below are indices into it
//   disagrees               why yjs contradicts itself about what the updates lead to; then, and in
//                           long sessions, only script and ends are there of what follows
//   updates                 the updates in causal order: what 'update' events gave,
//                           and what partial syncs (encodeStateAsUpdate(doc, sv)) sent
//   runs                    [{name, declared, apply: [update...], at: [{n, state, sv, pending}]}]
//                           a fresh Y.Doc, roots declared first or not; after n applied
//                           updates: its encodeStateAsUpdate, encodeStateVector and
//                           pending (1: structs, 2: deletes, 3: both)
//   merges                  [{name, in: [update...], out, sv}]  Y.mergeUpdates, and
//                           Y.encodeStateVectorFromUpdate of its result
//   diffs                   [{update, sv, out}]                 Y.diffUpdate
//   encodes                 [{sv, out}]    encodeStateAsUpdate(doc, sv) of the first run's document
//   compact                 {in: update, state, sv}   a fresh Y.Doc that was given all in one merged update
//   v2                      {from, to, back, state}   Y.convertUpdateFormatV1ToV2, what V2ToV1 makes of
//                           it, and encodeStateAsUpdateV2 of the first run's document
//   content, json           of the declared roots, see values.mjs
//   undo                    true if the clients have undo managers, which keep deleted content
//   watched                 true if the script says what observers saw
//   late                    true if the clients start without any declared root
//   script                  what each client did, see ops.mjs:
//                           {c, do: [op...], out}      one transaction
//                           {c, apply: update, out}    a received update (out: formatting clean-up)
//                           {c, undo|redo|stop: 1, out} its undo manager
//                           {c, sync: sv, out}         encodeStateAsUpdate(doc, sv)
//                           {c, declare: root}         it declares a root
//                           out lists the updates that yjs emitted for it, re those that it announced
//                           because of received ones;
//                           ev, in sessions that are watched, what observers saw, see events.mjs
//   ends                    [{state, sv, pending, content?, json?}] of each client after the script;
//                           content and json where they are not those above

import * as Y from 'yjs'
import * as encoding from 'lib0/encoding'
import { Prng } from './prng.mjs'
import { eventsOf } from './events.mjs'
import { families } from './families.mjs'
import { applyOp } from './ops.mjs'
import { contentOf, declare, jsonOf, sent } from './values.mjs'

export const familyNames = Object.keys(families)

// The client ID of documents that only read. Sessions never use it, so yjs has
// no reason to draw a random one.
const READER = 0

const REMOTE = 'remote'

const newDoc = (clientID) => {
  const doc = new Y.Doc({ gc: true, guid: 'root' })
  doc.clientID = clientID
  return doc
}

const clientIDs = (rng, n) => {
  const draw = {
    small: () => rng.int(1, 100),
    bits32: () => rng.int(2 ** 31 - 2 ** 20, 2 ** 32 - 1),
    bits53: () => rng.int(1, 2 ** 21 - 1) * 2 ** 32 + rng.uint32(),
    edge: () => rng.pick([1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1])
  }
  const kind = rng.weighted([[3, 'small'], [3, 'bits32'], [2, 'bits53'], [0.5, 'edge'], [1.5, 'any']])
  const out = []
  while (out.length < n) {
    const id = draw[kind === 'any' ? rng.pick(Object.keys(draw)) : kind]()
    if (!out.includes(id)) out.push(id)
  }
  return out
}

// Writes the updates of a client that still used ContentJSON (yjs before 13.0
// wrote plain values so): items of plain JSON at a root array or under the keys
// of a root map.
class LegacyWriter {
  constructor (rng, id) {
    this.rng = rng
    this.id = id
    this.clock = 0
    this.last = {}
  }

  value () {
    const { rng } = this
    return rng.pick(['undefined', '1', '"old"', 'null', '-7', '{"b":1,"a":[true]}', '"\\ud83d"', '0.5', '[]', '1e21', '"é"'])
  }

  next () {
    const { rng } = this
    const toMap = rng.chance(0.4)
    const key = toMap ? rng.pick(['a', 'b', '0']) : ''
    const slot = toMap ? `map ${key}` : 'array'
    const values = Array.from({ length: toMap ? 1 : rng.int(1, 4) }, () => this.value())
    const last = this.last[slot]
    const e = encoding.createEncoder()
    encoding.writeVarUint(e, 1) // clients
    encoding.writeVarUint(e, 1) // structs
    encoding.writeVarUint(e, this.id)
    encoding.writeVarUint(e, this.clock)
    encoding.writeUint8(e, 2 | (last === undefined ? 0 : 0x80) | (toMap ? 0x20 : 0))
    if (last === undefined) {
      encoding.writeVarUint(e, 1) // the parent is a root
      encoding.writeVarString(e, toMap ? 'map' : 'array')
      if (toMap) encoding.writeVarString(e, key)
    } else {
      encoding.writeVarUint(e, this.id)
      encoding.writeVarUint(e, last)
    }
    encoding.writeVarUint(e, values.length)
    for (const v of values) encoding.writeVarString(e, v)
    encoding.writeVarUint(e, 0) // no deletes
    this.clock += values.length
    this.last[slot] = this.clock - 1
    return encoding.toUint8Array(e)
  }
}

class Blobs {
  constructor () {
    this.list = []
    this.index = new Map()
  }

  add (bytes) {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
    let at = this.index.get(key)
    if (at === undefined) {
      at = this.list.length
      this.list.push(key)
      this.index.set(key, at)
    }
    return at
  }

  get (i) {
    return new Uint8Array(Buffer.from(this.list[i], 'hex'))
  }
}

const weightOf = (name) => families[name].weight ?? 1

const halved = (s) => s.replace(/[\ud800-\udfff]/g, '\ufffd')

/** Thrown when yjs contradicts itself; such a session proves nothing. */
class Disagreement extends Error {}

class Session {
  constructor (seed, options) {
    this.rng = new Prng(seed)
    const { rng } = this
    this.seed = seed
    this.name = rng.weighted(familyNames.map((name) => [weightOf(name), name]))
    if (options.family !== undefined) this.name = options.family
    this.family = families[this.name]
    this.roots = this.family.roots
    this.blobs = new Blobs()
    this.updates = []
    this.script = []
    const largest = options.operations ?? 150
    this.operations = this.family.long
      ? rng.int(150, 500)
      : Math.min(largest, rng.weighted([[3, rng.int(5, 20)], [4, rng.int(15, 60)], [1.5, rng.int(60, 150)]]))
    if (this.family.batch !== undefined && !this.family.long) this.operations = Math.ceil(this.operations / 4)
    if (this.family.events) this.operations = Math.min(this.operations, 40)
    this.undo = rng.chance(this.family.undo ?? 0)
    const alone = this.family.first === undefined ? 5 : 0
    const n = this.family.long ? rng.weighted([[alone, 1], [3, 2], [5 - alone, 3]]) : rng.weighted([[1, 1], [4, 2], [3, 3], [2, 4]])
    const ids = clientIDs(rng, n + (this.family.legacy ? 1 : 0))
    this.ids = ids
    this.clients = ids.slice(0, n).map((id, c) => this.client(id, c))
    this.legacy = this.family.legacy ? new LegacyWriter(rng, ids[n]) : null
  }

  client (id, c) {
    const doc = newDoc(id)
    const client = { c, doc, had: new Set(), out: [], re: [], undo: null, declared: {}, memory: { client: c }, steps: [] }
    if (!this.family.late) {
      client.declared = this.roots
      declare(doc, this.roots)
    }
    doc.on('update', (update, origin) => {
      // A received update is announced again when it was integrated. Some
      // providers send that on, so some sessions do.
      if (origin === REMOTE) {
        client.re.push(this.blobs.add(update))
        if (this.rng.chance(0.04)) this.publish(update, client)
        return
      }
      client.out.push(this.publish(update, client))
    })
    if (this.undo) {
      // Steps end where the script says so, never by the clock.
      const scope = Object.keys(this.roots).map((name) => doc.share.get(name))
      client.undo = new Y.UndoManager(scope, { captureTimeout: Number.MAX_SAFE_INTEGER })
    }
    return client
  }

  publish (update, from) {
    const i = this.blobs.add(update)
    if (!this.updates.includes(i)) this.updates.push(i)
    from?.had.add(i)
    return i
  }

  step (client, entry) {
    const step = { c: client.c, ...entry }
    if (client.out.length > 0) step.out = client.out
    if (client.re.length > 0) step.re = client.re
    client.out = []
    client.re = []
    this.script.push(step)
    if (!this.family.events) return
    client.steps.push(step)
    const calls = eventsOf(client.steps, this.roots, (doc) => { doc.clientID = client.doc.clientID }, (i) => this.blobs.get(i))
    if (calls.length > 0) step.ev = calls
  }

  // Of a client that declares roots as it goes.
  declareNext (client) {
    const left = Object.keys(this.roots).filter((name) => client.declared[name] === undefined)
    if (left.length === 0) return
    const name = this.rng.pick(left)
    const root = { [name]: this.roots[name] }
    Object.assign(client.declared, root)
    declare(client.doc, root)
    this.step(client, { declare: name })
  }

  edit (client) {
    const { rng } = this
    const ops = []
    if (this.family.late && (Object.keys(client.declared).length === 0 || rng.chance(0.1))) this.declareNext(client)
    client.doc.transact(() => {
      for (let n = this.family.batch?.(rng) ?? rng.weighted([[6, 1], [2, 2], [1, 4]]); n > 0; n--) {
        const op = this.family.next(rng, client.doc, client.declared, client.memory)
        applyOp(client.doc, op)
        ops.push(op)
      }
    })
    this.step(client, { do: ops })
  }

  deliver (client, i) {
    client.had.add(i)
    Y.applyUpdate(client.doc, this.blobs.get(i), REMOTE)
    this.step(client, { apply: i })
  }

  // Delivers some of what the client lacks: in order, or in any order, so that
  // clients also edit while updates are pending.
  receive (client) {
    const { rng } = this
    let missing = this.updates.filter((i) => !client.had.has(i))
    if (rng.chance(0.3)) missing = rng.shuffle(missing)
    const n = rng.chance(0.4) ? missing.length : rng.int(0, missing.length)
    for (const i of missing.slice(0, n)) this.deliver(client, i)
  }

  // What a client answers to another one's state vector.
  sync (from, to) {
    const sv = this.blobs.add(Y.encodeStateVector(to.doc))
    const update = Y.encodeStateAsUpdate(from.doc, this.blobs.get(sv))
    const i = this.publish(update, from)
    from.out.push(i)
    this.step(from, { sync: sv })
    if (!to.had.has(i)) this.deliver(to, i)
  }

  // Ends an undo step, or goes back and forth: an edit in between would empty
  // the redo stack.
  history (client) {
    const { rng } = this
    if (rng.chance(0.4)) {
      client.undo.stopCapturing()
      this.step(client, { stop: 1 })
      return
    }
    for (const [what, most] of [['undo', 3], ['redo', 2], ['undo', 1]]) {
      for (let n = rng.int(0, most); n > 0; n--) {
        client.undo[what]()
        this.step(client, { [what]: 1 })
      }
    }
  }

  play () {
    const { rng } = this
    const first = this.family.first ?? 0
    for (let n = 0; n < first; n++) this.edit(this.clients[0])
    if (first > 0) {
      for (const client of this.clients.slice(1)) this.updates.forEach((i) => this.deliver(client, i))
    }
    for (let n = 0; n < this.operations;) {
      const client = first > 0 && rng.chance(0.98) ? rng.pick(this.clients.slice(1)) : rng.pick(this.clients)
      const act = rng.weighted([
        [10, 'edit'],
        [(this.clients.length > 1 ? 3 : 0.3) * (this.family.long ? 0.1 : 1), 'receive'],
        [(this.clients.length > 1 ? 0.7 : 0) * (this.family.long ? 0.1 : 1), 'sync'],
        [client.undo !== null ? 4 : 0, 'undo'],
        [this.legacy !== null ? 4 : 0, 'legacy']
      ])
      if (act === 'receive') {
        this.receive(client)
        continue
      }
      n++
      if (act === 'edit') {
        this.edit(client)
      } else if (act === 'legacy') {
        this.publish(this.legacy.next(), null)
      } else if (act === 'sync') {
        const other = rng.pick(this.clients)
        if (other !== client) this.sync(client, other)
      } else {
        this.history(client)
      }
    }
    // All meet at the end. What that makes them emit (formatting clean-up) is
    // delivered too, so this ends when nobody has anything to say.
    for (let round = 0; ; round++) {
      if (round > 20) throw new Disagreement('clients never come to rest')
      let quiet = true
      for (const client of this.clients) {
        for (const i of this.updates.filter((i) => !client.had.has(i))) {
          quiet = false
          this.deliver(client, i)
        }
      }
      if (quiet) return
    }
  }

  state (doc, n) {
    return {
      n,
      state: this.blobs.add(Y.encodeStateAsUpdate(doc)),
      sv: this.blobs.add(Y.encodeStateVector(doc)),
      pending: (doc.store.pendingStructs === null ? 0 : 1) + (doc.store.pendingDs === null ? 0 : 2)
    }
  }

  run (name, declared, apply) {
    const { rng } = this
    const points = new Set()
    for (let n = rng.int(1, 2); n > 0; n--) points.add(rng.int(1, apply.length))
    points.add(apply.length)
    const doc = newDoc(READER)
    if (declared) declare(doc, this.roots)
    const at = []
    apply.forEach((i, n) => {
      Y.applyUpdate(doc, this.blobs.get(i))
      if (points.has(n + 1)) at.push(this.state(doc, n + 1))
    })
    if (at[at.length - 1].pending !== 0) throw new Disagreement(`${name}: pending after everything`)
    return { doc, run: { name, declared, apply, at } }
  }

  merge (name, list) {
    const out = Y.mergeUpdates(list.map((i) => this.blobs.get(i)))
    return {
      name,
      in: list,
      out: this.blobs.add(out),
      sv: this.blobs.add(Y.encodeStateVectorFromUpdate(out))
    }
  }

  record () {
    const { blobs, roots } = this
    const record = { seed: this.seed, family: this.name, clients: this.ids, roots, undo: this.undo, late: this.family.late === true, watched: this.family.events === true }
    // A script may name updates that the record does not list (clean-up that a
    // reader causes by itself); the blobs hold them all the same.
    let readings = {}
    if (!this.family.long) {
      try {
        readings = this.readings()
      } catch (err) {
        if (!(err instanceof Disagreement)) throw err
        record.disagrees = err.message
      }
    }
    return { ...record, ...readings, script: this.script, ends: this.ends(readings), blobs: blobs.list }
  }

  // What the clients hold in the end.
  ends (readings) {
    return this.clients.map(({ doc }) => {
      const { state, sv, pending } = this.state(doc)
      declare(doc, this.roots)
      const end = { state, sv, pending }
      for (const [name, read] of [['content', contentOf], ['json', jsonOf]]) {
        const value = sent(read(doc, this.roots))
        if (JSON.stringify(value) !== JSON.stringify(readings[name])) end[name] = value
      }
      return end
    })
  }

  // What readers make of the updates.
  readings () {
    const { rng, blobs, roots, updates } = this
    const shuffled = rng.shuffle(updates)
    const doubled = rng.shuffle([...updates, ...updates.filter(() => rng.chance(0.5))])

    const gappedIn = updates.filter(() => rng.chance(0.6))
    if (gappedIn.length === 0) gappedIn.push(updates[updates.length - 1])
    const restIn = updates.filter((i) => !gappedIn.includes(i))
    const all = this.merge('all', updates)
    const anyOrder = this.merge('shuffled', doubled)
    const gapped = this.merge('gapped', rng.chance(0.5) ? gappedIn : rng.shuffle(gappedIn))
    const rest = this.merge('rest', [gapped.out, ...restIn])
    const merges = [all, anyOrder, gapped, rest]

    const runs = []
    let first = null
    let contents = null
    const orders = [
      ['causal', updates],
      ['shuffled', shuffled],
      ['duplicated', doubled],
      ['gapped', [gapped.out, ...rng.shuffle(restIn)]],
      ['merged', [all.out]],
      ['rest', [rest.out]]
    ]
    for (const [name, apply] of orders) {
      // Causal order is what all others are compared with. Of these, most are played one
      // way only, because playing them is most of what a session costs.
      const once = name !== 'causal' && rng.chance(0.8) ? rng.chance(0.5) : null
      for (const declared of [false, true]) {
        if (once !== null && declared !== once) continue
        const { doc, run } = this.run(name, declared, apply)
        runs.push(run)
        // Declaring late only turns the root into its type; nothing is cleaned up.
        const undeclaredState = declared ? null : Y.encodeStateAsUpdate(doc)
        const encodes = first === null ? this.prefixes(doc) : null
        declare(doc, roots)
        const content = { content: contentOf(doc, roots), json: jsonOf(doc, roots), sv: run.at[run.at.length - 1].sv }
        if (first === null) {
          first = { doc, encodes, state: undeclaredState }
          contents = content
        } else if (JSON.stringify(content) !== JSON.stringify(contents)) {
          throw new Disagreement(`${name}${declared ? ', declared' : ''}: other content than causal order`)
        }
      }
    }
    const reloaded = (state) => {
      const doc = newDoc(READER)
      declare(doc, roots)
      Y.applyUpdate(doc, state)
      return JSON.stringify(contentOf(doc, roots))
    }
    const expected = JSON.stringify(contents.content)
    if (reloaded(first.state) !== expected) throw new Disagreement('state of a reader, reloaded: other content')
    // Clients are judged by what they would send: in memory they hold values as
    // they were given (NaN in a format), which no update carries. And a client may
    // have split a surrogate pair without telling (a retain that ended inside), so
    // that it alone holds two U+FFFD.
    for (const { doc } of this.clients) {
      if (halved(reloaded(Y.encodeStateAsUpdate(doc))) !== halved(expected)) {
        throw new Disagreement('state of a client, reloaded: other content')
      }
    }

    const diffs = []
    for (const { sv } of first.encodes) {
      for (const update of [all.out, gapped.out]) {
        diffs.push({ update, sv, out: blobs.add(Y.diffUpdate(blobs.get(update), blobs.get(sv))) })
      }
    }

    const merged = newDoc(READER)
    Y.applyUpdate(merged, blobs.get(all.out))
    const compact = {
      in: all.out,
      state: blobs.add(Y.encodeStateAsUpdate(merged)),
      sv: blobs.add(Y.encodeStateVector(merged))
    }

    const v2Bytes = Y.convertUpdateFormatV1ToV2(blobs.get(all.out))
    const v2 = {
      from: all.out,
      to: blobs.add(v2Bytes),
      back: blobs.add(Y.convertUpdateFormatV2ToV1(v2Bytes)),
      state: blobs.add(Y.encodeStateAsUpdateV2(first.doc))
    }

    return {
      updates,
      runs,
      merges,
      diffs,
      encodes: first.encodes,
      compact,
      v2,
      content: contents.content,
      json: contents.json
    }
  }

  // What the full document answers to the state vectors of random prefixes.
  prefixes (doc) {
    const { rng, blobs } = this
    const out = []
    for (let n = 2; n > 0; n--) {
      const prefix = newDoc(READER)
      for (const i of this.updates.slice(0, rng.int(0, this.updates.length))) Y.applyUpdate(prefix, blobs.get(i))
      const sv = Y.encodeStateVector(prefix)
      out.push({ sv: blobs.add(sv), out: blobs.add(Y.encodeStateAsUpdate(doc, sv)) })
    }
    return out
  }
}

/**
 * Plays the session of a seed.
 *
 * @param {number} seed an integer in 0..2^32-1
 * @param {{family?: string, operations?: number}} [options]
 * @return {{record: object} | {dropped: string, family: string}}
 */
export const play = (seed, options = {}) => {
  const session = new Session(seed, options)
  try {
    session.play()
    if (session.updates.length === 0) return { dropped: 'nothing happened', family: session.name }
    return { record: session.record() }
  } catch (err) {
    const reason = err instanceof Disagreement ? err.message : `yjs threw: ${err.message}`
    return { dropped: reason, family: session.name, error: err }
  }
}
