// Operations as data: what a client of a session does to its document. They are
// recorded in the session's script, so that another engine can repeat them under
// the same client IDs and compare every update it emits.
//
// A type is named by a path: the name of its root, then one step per level. A
// step is an index (array, XML), a key (map, hook, attributes, as {"k":key}) or
// {"t":n}, the nth shared type inside a text.

import * as Y from 'yjs'
import { decodeDelta, decodeObject, decodeValue } from './values.mjs'

const childrenOf = (type) => {
  const out = []
  if (type instanceof Y.Text) {
    let n = 0
    for (const op of type.toDelta()) {
      if (op.insert instanceof Y.AbstractType) out.push([{ t: n++ }, op.insert])
    }
  } else if (type instanceof Y.Array || type instanceof Y.XmlFragment) {
    type.toArray().forEach((child, i) => {
      if (child instanceof Y.AbstractType) out.push([i, child])
    })
  }
  type._map.forEach((item, key) => {
    if (item.deleted || !key.isWellFormed()) return
    const child = item.content.getContent()[item.length - 1]
    if (child instanceof Y.AbstractType) out.push([{ k: key }, child])
  })
  return out
}

/** Every shared type in the document, as [path, type], roots first. */
export const listTypes = (doc, roots) => {
  const out = []
  const walk = (path, type) => {
    out.push([path, type])
    for (const [step, child] of childrenOf(type)) walk([...path, step], child)
  }
  for (const name of Object.keys(roots)) walk([name], doc.share.get(name))
  return out
}

const resolve = (doc, path) => {
  let type = doc.share.get(path[0])
  for (const step of path.slice(1)) {
    const found = childrenOf(type).find(([s]) => JSON.stringify(s) === JSON.stringify(step))
    if (found === undefined) throw new Error(`no type at ${JSON.stringify(path)}`)
    type = found[1]
  }
  return type
}

/** Applies one operation. Call it inside a transaction. */
export const applyOp = (doc, op) => {
  const type = resolve(doc, op.p)
  switch (op.op) {
    case 'insert':
      return type.insert(op.i, decodeValue(op.s), op.a === undefined ? undefined : decodeObject(op.a))
    case 'embed':
      return type.insertEmbed(op.i, decodeValue(op.v), op.a === undefined ? undefined : decodeObject(op.a))
    case 'delete':
      return type.delete(op.i, op.n)
    case 'format':
      return type.format(op.i, op.n, decodeObject(op.a))
    case 'delta':
      return type.applyDelta(decodeDelta(op.d))
    case 'attr':
      return type.setAttribute(decodeValue(op.k), decodeValue(op.v))
    case 'unattr':
      return type.removeAttribute(decodeValue(op.k))
    case 'ins':
      return type.insert(op.i, op.v.map(decodeValue))
    case 'push':
      return type.push(op.v.map(decodeValue))
    case 'unshift':
      return type.unshift(op.v.map(decodeValue))
    case 'after':
      return type.insertAfter(op.i === 0 ? null : type.get(op.i - 1), op.v.map(decodeValue))
    case 'del':
      return type.delete(op.i, op.n)
    case 'set':
      return type.set(decodeValue(op.k), decodeValue(op.v))
    case 'unset':
      return type.delete(decodeValue(op.k))
    case 'clear':
      return type.clear()
  }
  throw new Error(`unknown operation ${op.op}`)
}
