// The tagged encoding: what a session says about values and shared types, in
// JSON, without losing anything that JSON cannot carry. The Go side reads the
// same encoding (yjstest/value.go).
//
//   null, booleans, finite numbers but -0, arrays   as JSON has them
//   strings                                         JSON strings, if well-formed UTF-16
//   {"$":"utf16","v":"d83d0041"}                    a string with lone surrogates, as hex code units
//   {"$":"undefined"} {"$":"-0"} {"$":"NaN"} {"$":"Infinity"} {"$":"-Infinity"}
//   {"$":"bigint","v":"-12"}                        decimal
//   {"$":"bytes","v":"00ff"}                        Uint8Array, hex
//   {"$":"object","v":[[key, value], ...]}          plain object, in JavaScript's key order
//
// and for shared types (pairs of shared types are sorted by key, in UTF-16 order,
// because the order in which replicas learned of the keys is not content):
//
//   {"$":"array","v":[...]}
//   {"$":"map","v":[[key, value], ...]}
//   {"$":"text"|"xmltext","d":[[insert, [[key, value], ...]?], ...],"a":[[key, value], ...]}
//        d is the delta: insert is a string, {"$":"embed","v":value} or a shared type;
//        attributes are sorted by key, neighbouring strings with equal attributes are joined;
//        a holds the attributes of the text itself and is left out when empty
//   {"$":"xmlfragment","v":[...]}
//   {"$":"xmlelement","n":name,"a":[[key, value], ...],"v":[...]}
//   {"$":"xmlhook","n":name,"v":[[key, value], ...]}
//   {"$":"doc","g":guid,"o":[[key, value], ...]}    subdocument, with the options its item carries

import * as Y from 'yjs'

const hex = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

const encodeString = (s) => {
  if (s.isWellFormed()) return s
  let v = ''
  for (let i = 0; i < s.length; i++) v += s.charCodeAt(i).toString(16).padStart(4, '0')
  return { $: 'utf16', v }
}

const decodeString = (t) => {
  if (typeof t === 'string') return t
  let s = ''
  for (let i = 0; i < t.v.length; i += 4) s += String.fromCharCode(parseInt(t.v.slice(i, i + 4), 16))
  return s
}

const encodePairs = (pairs) => pairs.map(([k, v]) => [encodeString(k), encodeValue(v)])

const sortedPairs = (pairs) => encodePairs(pairs.sort((a, b) => compare(a[0], b[0])))

/** Pairs of a plain object, in the order JavaScript keeps. */
export const encodeObject = (o) => encodePairs(Object.keys(o).map((k) => [k, o[k]]))

// The live (not deleted) entries of a type's map part. The public accessors
// build plain objects, which lose a key called "__proto__".
const liveEntries = (type) => {
  const out = []
  type._map.forEach((item, key) => {
    if (!item.deleted) out.push([key, item.content.getContent()[item.length - 1]])
  })
  return out
}

const encodeDelta = (text) => {
  const out = []
  for (const op of text.toDelta()) {
    const attributes = op.attributes === undefined
      ? undefined
      : sortedPairs(Object.keys(op.attributes).map((k) => [k, op.attributes[k]]))
    let insert
    if (typeof op.insert === 'string') {
      insert = op.insert
    } else if (op.insert instanceof Y.AbstractType) {
      insert = encodeValue(op.insert)
    } else {
      insert = { $: 'embed', v: encodeValue(op.insert) }
    }
    const last = out[out.length - 1]
    if (typeof insert === 'string' && last !== undefined && typeof last[0] === 'string' &&
      JSON.stringify(last[1]) === JSON.stringify(attributes)) {
      last[0] += insert
    } else {
      out.push(attributes === undefined ? [insert] : [insert, attributes])
    }
  }
  for (const op of out) {
    if (typeof op[0] === 'string') op[0] = encodeString(op[0])
  }
  return out
}

/** Encodes a plain value or an integrated shared type. */
export const encodeValue = (v) => {
  switch (typeof v) {
    case 'string':
      return encodeString(v)
    case 'boolean':
      return v
    case 'undefined':
      return { $: 'undefined' }
    case 'bigint':
      return { $: 'bigint', v: v.toString() }
    case 'number':
      if (Object.is(v, -0)) return { $: '-0' }
      return Number.isFinite(v) ? v : { $: String(v) }
  }
  if (v === null) return null
  if (Array.isArray(v)) return v.map(encodeValue)
  if (v instanceof Uint8Array) return { $: 'bytes', v: hex(v) }
  if (v instanceof Y.Doc) {
    return { $: 'doc', g: v.guid, o: v._item === null ? encodeObject({}) : encodeObject(v._item.content.opts) }
  }
  if (v instanceof Y.XmlHook) {
    return { $: 'xmlhook', n: encodeString(v.hookName), v: sortedPairs(liveEntries(v)) }
  }
  if (v instanceof Y.Map) return { $: 'map', v: sortedPairs(liveEntries(v)) }
  if (v instanceof Y.Array) return { $: 'array', v: v.toArray().map(encodeValue) }
  if (v instanceof Y.Text) {
    const out = { $: v instanceof Y.XmlText ? 'xmltext' : 'text', d: encodeDelta(v) }
    const attributes = sortedPairs(liveEntries(v))
    if (attributes.length > 0) out.a = attributes
    return out
  }
  if (v instanceof Y.XmlElement) {
    return {
      $: 'xmlelement',
      n: encodeString(v.nodeName),
      a: sortedPairs(liveEntries(v)),
      v: v.toArray().map(encodeValue)
    }
  }
  if (v instanceof Y.XmlFragment) return { $: 'xmlfragment', v: v.toArray().map(encodeValue) }
  return { $: 'object', v: encodeObject(v) }
}

const define = (target, key, value) =>
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })

/** The inverse of encodeObject. An own "__proto__" key stays an own key. */
export const decodeObject = (pairs) => {
  const out = {}
  for (const [k, v] of pairs) define(out, decodeString(k), decodeValue(v))
  return out
}

/**
 * Decodes a tagged value. Shared types come out as fresh, not yet integrated
 * types that carry their content, subdocuments as new documents.
 */
export const decodeValue = (t) => {
  if (t === null || typeof t !== 'object') return t
  if (Array.isArray(t)) return t.map(decodeValue)
  switch (t.$) {
    case 'utf16':
      return decodeString(t)
    case 'undefined':
      return undefined
    case '-0':
      return -0
    case 'NaN':
    case 'Infinity':
    case '-Infinity':
      return Number(t.$)
    case 'bigint':
      return BigInt(t.v)
    case 'bytes':
      return new Uint8Array(Buffer.from(t.v, 'hex'))
    case 'object':
      return decodeObject(t.v)
    case 'array':
      return Y.Array.from(t.v.map(decodeValue))
    case 'map':
      return new Y.Map(t.v.map(([k, v]) => [decodeString(k), decodeValue(v)]))
    case 'text':
    case 'xmltext': {
      const text = t.$ === 'text' ? new Y.Text() : new Y.XmlText()
      for (const [k, v] of t.a ?? []) text.setAttribute(decodeString(k), decodeValue(v))
      if (t.d.length > 0) text.applyDelta(decodeDelta(t.d.map(([insert, attributes]) => ({ insert, attributes }))))
      return text
    }
    case 'xmlelement': {
      const element = new Y.XmlElement(decodeString(t.n))
      for (const [k, v] of t.a) element.setAttribute(decodeString(k), decodeValue(v))
      if (t.v.length > 0) element.insert(0, t.v.map(decodeValue))
      return element
    }
    case 'xmlhook': {
      const hook = new Y.XmlHook(decodeString(t.n))
      for (const [k, v] of t.v) hook.set(decodeString(k), decodeValue(v))
      return hook
    }
    case 'doc':
      return new Y.Doc({ guid: t.g, ...decodeObject(t.o) })
  }
  throw new Error(`unknown tag ${t.$}`)
}

/** Decodes delta operations: {insert|retain|delete, attributes?: pairs}. */
export const decodeDelta = (ops) => ops.map((op) => {
  const out = {}
  if (op.insert !== undefined) {
    out.insert = op.insert?.$ === 'embed' ? decodeValue(op.insert.v) : decodeValue(op.insert)
  }
  if (op.retain !== undefined) out.retain = op.retain
  if (op.delete !== undefined) out.delete = op.delete
  if (op.attributes !== undefined) out.attributes = decodeObject(op.attributes)
  return out
})

const constructors = {
  text: Y.Text,
  array: Y.Array,
  map: Y.Map,
  xmlfragment: Y.XmlFragment,
  xmlelement: Y.XmlElement,
  xmltext: Y.XmlText
}

/** The name of a type's kind. */
export const kindOf = (type) => (type instanceof Y.XmlHook
  ? 'xmlhook'
  : Object.keys(constructors).find((kind) => type.constructor === constructors[kind]))

/** Declares roots ({name: kind}) on a document. */
export const declare = (doc, roots) => {
  for (const name of Object.keys(roots)) doc.get(name, constructors[roots[name]])
}

/** The content of every declared root, in the tagged encoding. */
export const contentOf = (doc, roots) => {
  const out = {}
  for (const name of Object.keys(roots)) out[name] = encodeValue(doc.get(name, constructors[roots[name]]))
  return out
}

const sortObjects = (t) => {
  if (Array.isArray(t)) return t.map(sortObjects)
  if (t !== null && typeof t === 'object' && t.$ === 'object') {
    const pairs = t.v.map(([k, v]) => [k, sortObjects(v)])
    return { $: 'object', v: pairs.sort((a, b) => compare(JSON.stringify(a[0]), JSON.stringify(b[0]))) }
  }
  return t
}

/** As a value is once it was sent: of a bigint 64 bits are. */
export const sent = (t) => {
  if (Array.isArray(t)) return t.map(sent)
  if (t === null || typeof t !== 'object') return t
  if (t.$ === 'bigint') return { $: 'bigint', v: BigInt.asIntN(64, BigInt(t.v)).toString() }
  return Object.fromEntries(Object.entries(t).map(([k, v]) => [k, sent(v)]))
}

/**
 * toJSON of every declared root, in the tagged encoding. toJSON turns maps into
 * plain objects, so here the keys of every object are sorted (by their JSON).
 */
export const jsonOf = (doc, roots) => {
  const out = {}
  for (const name of Object.keys(roots)) out[name] = sortObjects(encodeValue(doc.get(name, constructors[roots[name]]).toJSON()))
  return out
}
