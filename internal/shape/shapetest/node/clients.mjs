// The replicas of a document.

import * as Y from 'yjs'

/** A document under a random clientID. */
export const newDoc = (rng) => {
  const doc = new Y.Doc()
  doc.clientID = rng.uint32()
  return doc
}

/** Brings two documents to the same state. */
export const merge = (a, b) => {
  const ofA = Y.encodeStateAsUpdate(a, Y.encodeStateVector(b))
  Y.applyUpdate(a, Y.encodeStateAsUpdate(b, Y.encodeStateVector(a)))
  Y.applyUpdate(b, ofA)
}

/** A document with what another holds, as for somebody who opens it now. */
export const copyOf = (doc) => {
  const copy = new Y.Doc()
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc))
  return copy
}
