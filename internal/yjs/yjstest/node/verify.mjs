// Lets real yjs judge what another engine wrote, and edit together with it. Reads
// requests from stdin, one JSON object per line, and answers each with one line on
// stdout:
//
//   {roots: {name: kind}, declared, updates: [hex...]}
//      {content, json, sv, state, pending}
//   {merge: [hex...]}
//      {update, sv}
//
// or {error}. The updates are applied to a fresh Y.Doc (gc on) whose roots are
// declared first, or only before it is read; content, json and pending are as in
// sessions.mjs, bytes in hex. A merge is Y.mergeUpdates.
//
// These are about documents that stay, each known by a number:
//
//   {open: n, client, roots, late}    a Y.Doc that edits as that client; late: roots are
//                                     declared by and by
//   {doc: n, do: [op...]}             one transaction, see ops.mjs
//   {doc: n, edit: family, seed}      one transaction with random operations of a family
//   {doc: n, apply: hex}              a received update
//   {doc: n, declare: name}
//   {doc: n, sync: hex}               encodeStateAsUpdate for a state vector; {update}
//   {doc: n, read: 1}                 as of updates, {content, json, sv, state, pending}
//   {close: n}
//
// All that change it answer {out: [hex...], re: [hex...]}: updates that the document
// emitted, and those that announce what it received.

import { createInterface } from 'node:readline'
import * as Y from 'yjs'
import { families, settings } from './families.mjs'
import { applyOp } from './ops.mjs'
import { Prng } from './prng.mjs'
import { contentOf, declare, jsonOf, sent } from './values.mjs'

settings.nestedHalves = false

// yjs warns with console.log; stdout is for answers.
console.log = console.error

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const unhex = (text) => new Uint8Array(Buffer.from(text, 'hex'))

const encoded = (doc) => ({
  sv: hex(Y.encodeStateVector(doc)),
  state: hex(Y.encodeStateAsUpdate(doc)),
  pending: (doc.store.pendingStructs === null ? 0 : 1) + (doc.store.pendingDs === null ? 0 : 2)
})

const load = ({ roots, declared, updates }) => {
  const doc = new Y.Doc({ gc: true, guid: 'root' })
  doc.clientID = 0
  if (declared) declare(doc, roots)
  for (const update of updates) Y.applyUpdate(doc, unhex(update))
  const bytes = encoded(doc)
  declare(doc, roots)
  return { ...bytes, content: contentOf(doc, roots), json: jsonOf(doc, roots) }
}

const merge = (updates) => {
  const update = Y.mergeUpdates(updates.map(unhex))
  return { update: hex(update), sv: hex(Y.encodeStateVectorFromUpdate(update)) }
}

const REMOTE = 'remote'

class Peer {
  constructor ({ client, roots, late }) {
    this.roots = roots
    this.declared = late ? {} : roots
    this.doc = new Y.Doc({ gc: true, guid: 'root' })
    this.doc.clientID = client
    this.memory = {}
    declare(this.doc, this.declared)
    this.doc.on('update', (update, origin) => (origin === REMOTE ? this.re : this.out).push(hex(update)))
  }

  ask (request) {
    this.out = []
    this.re = []
    return { ...this.perform(request), out: this.out, re: this.re }
  }

  perform (request) {
    const { doc } = this
    if (request.do !== undefined) {
      doc.transact(() => request.do.forEach((op) => applyOp(doc, op)))
    } else if (request.edit !== undefined) {
      this.edit(families[request.edit], new Prng(request.seed))
    } else if (request.apply !== undefined) {
      Y.applyUpdate(doc, unhex(request.apply), REMOTE)
    } else if (request.declare !== undefined) {
      this.declared[request.declare] = this.roots[request.declare]
      declare(doc, this.declared)
    } else if (request.sync !== undefined) {
      return { update: hex(Y.encodeStateAsUpdate(doc, unhex(request.sync))) }
    } else {
      const bytes = encoded(doc)
      declare(doc, this.roots)
      return { ...bytes, content: sent(contentOf(doc, this.roots)), json: sent(jsonOf(doc, this.roots)) }
    }
    return {}
  }

  edit (family, rng) {
    this.doc.transact(() => {
      for (let n = family.batch?.(rng) ?? rng.weighted([[6, 1], [2, 2], [1, 4]]); n > 0; n--) {
        applyOp(this.doc, family.next(rng, this.doc, this.declared, this.memory))
      }
    })
  }
}

const peers = new Map()

const judge = (request) => {
  if (request.merge !== undefined) return merge(request.merge)
  if (request.open !== undefined) {
    peers.set(request.open, new Peer(request))
    return {}
  }
  if (request.close !== undefined) {
    peers.get(request.close).doc.destroy()
    peers.delete(request.close)
    return {}
  }
  return request.doc === undefined ? load(request) : peers.get(request.doc).ask(request)
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    answer = judge(JSON.parse(line))
  } catch (err) {
    answer = { error: String(err?.stack ?? err) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
