// What observers see of one step of a script.
//
// Reading the delta of a YTextEvent deletes formats that it finds redundant, in a
// transaction of its own. So nobody observes the clients of a session: the step is
// played again, in a document that has played all steps before it and is dropped
// after. Transactions that begin while a delta is read are left out, and so is the
// clean-up after a received update, which finds less to do once deltas were read.

import * as Y from 'yjs'
import { applyOp } from './ops.mjs'
import { declare, encodeValue, kindOf, sent } from './values.mjs'

const play = (doc, step, blob) => {
  if (step.do !== undefined) doc.transact(() => step.do.forEach((op) => applyOp(doc, op)))
  else if (step.apply !== undefined) Y.applyUpdate(doc, blob(step.apply))
}

// A deleted type has nothing left to show.
const old = (v) => (v instanceof Y.AbstractType ? { gone: kindOf(v) } : v)

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

const describe = (event) => ({
  path: event.path,
  keys: [...event.keys].sort((a, b) => compare(a[0], b[0])).map(([key, { action, oldValue }]) =>
    action === 'add' ? [key, action] : [key, action, old(oldValue)]),
  delta: event.changes.delta.map((op) => {
    if (op.attributes === undefined) return { ...op }
    const attributes = Object.entries(op.attributes).sort((a, b) => compare(a[0], b[0]))
    return { ...op, attributes }
  })
})

/**
 * What observeDeep of each root is called with in the last of a client's steps, as
 * [[root, events], ...], one for every call. The events are in the tagged encoding of
 * a list of {path, keys: [[key, action, old value?]...], delta}.
 *
 * @param {object[]} steps all of the client's, as in the script
 * @param {(doc: Y.Doc) => void} prepare makes it the document that the client had in the beginning
 */
export const eventsOf = (steps, roots, prepare, blob) => {
  const doc = new Y.Doc({ gc: true, guid: 'root' })
  prepare(doc)
  declare(doc, roots)
  const last = steps[steps.length - 1]
  for (const step of steps.slice(0, -1)) play(doc, step, blob)
  const calls = []
  const caused = new Set()
  let reading = false
  doc.on('beforeTransaction', (transaction) => { if (reading) caused.add(transaction) })
  for (const name of Object.keys(roots)) {
    doc.share.get(name).observeDeep((events, transaction) => {
      if (caused.has(transaction) || (last.apply !== undefined && transaction.local)) return
      reading = true
      calls.push([name, sent(encodeValue(events.map(describe)))])
      reading = false
    })
  }
  play(doc, last, blob)
  return calls
}
