// Lets real yjs judge what another engine wrote. Reads requests from stdin, one
// JSON object per line, and answers each with one line on stdout:
//
//   {roots: {name: kind}, declared, updates: [hex...]}
//      {content, json, sv, state, pending}
//   {merge: [hex...]}
//      {update, sv}
//
// or {error}. The updates are applied to a fresh Y.Doc (gc on) whose roots are
// declared first, or only before it is read; content, json and pending are as in
// sessions.mjs, bytes in hex. A merge is Y.mergeUpdates.

import { createInterface } from 'node:readline'
import * as Y from 'yjs'
import { contentOf, declare, jsonOf } from './values.mjs'

// yjs warns with console.log; stdout is for answers.
console.log = console.error

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const unhex = (text) => new Uint8Array(Buffer.from(text, 'hex'))

const load = ({ roots, declared, updates }) => {
  const doc = new Y.Doc({ gc: true, guid: 'root' })
  doc.clientID = 0
  if (declared) declare(doc, roots)
  for (const update of updates) Y.applyUpdate(doc, unhex(update))
  const encoded = {
    sv: hex(Y.encodeStateVector(doc)),
    state: hex(Y.encodeStateAsUpdate(doc)),
    pending: (doc.store.pendingStructs === null ? 0 : 1) + (doc.store.pendingDs === null ? 0 : 2)
  }
  declare(doc, roots)
  return { ...encoded, content: contentOf(doc, roots), json: jsonOf(doc, roots) }
}

const merge = (updates) => {
  const update = Y.mergeUpdates(updates.map(unhex))
  return { update: hex(update), sv: hex(Y.encodeStateVectorFromUpdate(update)) }
}

const judge = (request) => (request.merge === undefined ? load(request) : merge(request.merge))

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    answer = judge(JSON.parse(line))
  } catch (err) {
    answer = { error: String(err?.stack ?? err) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
