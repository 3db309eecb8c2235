// What the clients of a session do: one entry per family. A family names the
// roots it declares and yields the next operation for a client's document.

import * as Y from 'yjs'
import { encodeObject, encodeValue } from './values.mjs'
import { listTypes } from './ops.mjs'

const words = ['a', 'b', 'to', 'the', 'note', 'page ', 'local first', ' ', '\n', 'merge', 'é', 'ß', '漢字', 'नमस्ते', '\u0000', '‮x', 'hello world ']
const emoji = ['😀', '👩‍👩‍👧‍👦', '🇩🇪', '😀😀', 'a😀b', '𝒳', '👍🏽', '🚀 go', '😀x😀y😀']
const names = ['a', 'b', 'c', 'title', 'done', 'meta']
const oddKeys = ['__proto__', 'constructor', 'toString', '', '0', '1', '10', '2', '-1', '1.5', '01', '4294967294', '4294967295', '😀', 'a.b', ' ', '\u0000', 'é', 'hasOwnProperty', 'length']
const markNames = ['bold', 'italic', 'link', 'color', 'code']
const tags = ['p', 'heading', 'paragraph', 'listItem', 'IMG', 'blockquote']

const text = (rng) => {
  let s = ''
  for (let n = rng.int(1, 3); n > 0; n--) s += rng.pick(words)
  return s
}

const emojiText = (rng) => {
  if (rng.chance(0.05)) return rng.pick(['\ud83d', '\ude00', 'x\ud83d', '\ude00y', '\ud83d\ud83d'])
  let s = ''
  for (let n = rng.int(1, 3); n > 0; n--) s += rng.chance(0.7) ? rng.pick(emoji) : rng.pick(words)
  return s
}

const bytes = (rng) => {
  const out = new Uint8Array(rng.pick([0, 1, 2, 5, 17, 130]))
  for (let i = 0; i < out.length; i++) out[i] = rng.int(0, 255)
  return out
}

const numbers = [
  0, -0, 1, -1, 63, 64, -64, 127, 128, 255, 8191, 8192, 65536, 0.5, -0.5, 0.1, 1.1, 3.25, 1e21, -1e21, 1e-7, 123456789.125,
  2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, -(2 ** 31) + 1, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32, 2 ** 33 + 1, 2 ** 40, 2 ** 52 + 0.5,
  2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, -(2 ** 53) + 1, -(2 ** 53), 2 ** 63, 2 ** 64, 3.4028234663852886e38, 3.5e38, 1e-45, 5e-324, 1.7976931348623157e308,
  NaN, Infinity, -Infinity, 16777217, 4294967295, 4294967296.5
]

const bigints = [0n, 1n, -1n, 127n, 2n ** 31n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n, 2n ** 64n + 5n, -(2n ** 64n) - 7n, 2n ** 130n + 3n]

const plainObject = (rng, depth, options) => {
  const out = {}
  for (let n = rng.int(0, 3); n > 0; n--) {
    let key = rng.chance(options.odd ? 0.6 : 0.15) ? rng.pick(oddKeys) : rng.pick(names)
    // yjs picks the kind of a value by value.constructor.
    if (key === 'constructor' && options.top) key = 'name'
    // As an own property: an assignment to __proto__ would change the prototype instead.
    const value = key === '__proto__' ? rng.pick([1, 'x', { inherited: true }]) : plain(rng, depth - 1, { ...options, top: false })
    Object.defineProperty(out, key, { value, enumerable: true, writable: true, configurable: true })
  }
  return out
}

// A plain value. `bare` values are those a list takes at its top level, where
// yjs refuses undefined and bigint.
const plain = (rng, depth, options = {}) => rng.weighted([
  [3, () => text(rng)],
  [3, () => rng.int(-100, 100)],
  [options.values ? 6 : 1, () => rng.pick(numbers)],
  [1, () => rng.chance(0.5)],
  [1, () => null],
  [options.values ? 2 : 0.3, () => (options.bare ? 'bare' : undefined)],
  [options.values ? 2 : 0.2, () => (options.bare ? 64 : rng.pick(bigints))],
  [options.values ? 2 : 0.3, () => bytes(rng)],
  [options.values ? 1 : 0.2, () => rng.pick(emoji)],
  [depth > 0 ? 1.5 : 0, () => Array.from({ length: rng.int(0, 3) }, () => plain(rng, depth - 1, { ...options, bare: false }))],
  [depth > 0 ? 2 : 0, () => plainObject(rng, depth, { ...options, bare: false })]
])()

// Half a pair does not survive where a format or an embed has to wait for other content,
// so those who are watched write none.
const mark = (rng, options = {}) => {
  const out = {}
  for (let n = rng.chance(0.25) ? 2 : 1; n > 0; n--) {
    out[rng.pick(markNames)] = rng.weighted([
      [5, () => true],
      [4, () => null],
      [2, () => rng.pick(['red', 'blue', ''])],
      [options.objects ? 20 : 1, () => ({ href: rng.pick(['https://a.example', 'https://b.example']), ...(rng.chance(0.3) ? { title: 'x' } : {}) })],
      // Of what lies deeper yjs compares identities.
      [options.objects ? 4 : 0, () => rng.pick([{ meta: { id: 1 } }, { list: [1] }, [[1]], [{ a: 1 }], [1, 2], [undefined], { a: undefined }, { b: undefined }, {}, []])],
      [options.odd ? 1 : 0.1, () => rng.pick([0, 1.5, -0, 1e21, 1e-7, NaN, options.watched ? 'x' : '\ud83d', '"\\\n\u2028', [1, 'two', null], { 2: 'b', 1: 'a', u: undefined }])]
    ])()
  }
  return out
}

const embedValue = (rng, o = {}) => rng.weighted([
  [4, () => ({ image: `https://example.org/${rng.int(1, 9)}.png` })],
  [1, () => ({ mention: { id: rng.int(1, 5), name: rng.pick(emoji) } })],
  [1, () => ({ b: 1, a: 2, 3: 'c', 1: 'd', __x: null })],
  [1, () => ({ odd: rng.pick([-0, NaN, 1e21, 1e-7, 0.1, o.watched ? 'x' : '\ud83d', '</script>', '\u2028"\\\b\f', undefined]), list: [undefined, 1, NaN] })],
  // The delta of an event leaves these out, as if nothing had been inserted.
  [o.watched ? 0 : 0.5, () => rng.pick([5, true, 1.5])],
  [0.5, () => [1, { two: 2 }]]
])()

/**
 * What is not played everywhere. A pair that is typed in halves is two U+FFFD in one
 * update and the character in a later one, of the same clocks: now and then what such
 * updates make depends on their order, in yjs too, so fresh sessions have none. Nor is half
 * a pair in the formats of a nested text where documents are edited together.
 */
export const settings = { halves: true, nestedHalves: true }

// Half of a surrogate pair right behind the other half, where one stands alone, as
// from an editor that hands on an emoji in two inputs.
const otherHalf = (rng, type) => {
  const string = type.toString()
  if (string.length !== type.length) return null // embeds are in the way
  const places = []
  for (let i = 0; i < string.length; i++) {
    if (string.codePointAt(i) >= 0xd800 && string.codePointAt(i) < 0xdc00) places.push(i + 1)
    if (string.codePointAt(i) > 0xffff) i++
  }
  return places.length === 0 ? null : { i: rng.pick(places), s: encodeValue(rng.pick(['\ude00', '\ude01x'])) }
}

const point = (rng, length) => (rng.chance(0.2) ? length : rng.chance(0.15) ? 0 : rng.int(0, length))

const range = (rng, length, longest) => {
  const i = rng.int(0, length - 1)
  return [i, rng.int(1, Math.min(longest, length - i))]
}

const nestedText = (rng, kind) => {
  const out = { $: kind, d: [] }
  if (rng.chance(0.7)) out.d.push([text(rng)])
  if (rng.chance(0.3)) out.d.push([text(rng), encodeObject(mark(rng, { watched: !settings.nestedHalves }))])
  return out
}

// A shared type to be inserted, as a tagged value that carries its first content.
const nested = (rng, depth, kinds) => {
  const kind = rng.pick(kinds)
  const child = () => (depth > 0 && rng.chance(0.5) ? nested(rng, depth - 1, kinds) : encodeValue(plain(rng, 1, { bare: true, top: true })))
  switch (kind) {
    case 'array':
      return { $: 'array', v: Array.from({ length: rng.int(0, 3) }, child) }
    case 'map': {
      const keys = rng.shuffle(names).slice(0, rng.int(0, 3))
      return { $: 'map', v: keys.map((k) => [k, child()]) }
    }
    case 'text':
    case 'xmltext': {
      const out = nestedText(rng, kind)
      if (rng.chance(0.15)) out.a = [['align', rng.pick(['left', 'right'])]]
      return out
    }
    case 'xmlelement':
      return xmlElement(rng, depth)
    default:
      throw new Error(`cannot nest ${kind}`)
  }
}

const attributeValue = (rng) => rng.weighted([
  [4, () => rng.pick(['left', 'right', '', 'x y', '😀', '"quoted"'])],
  [2, () => rng.int(-3, 9)],
  [0.5, () => rng.pick([0.1, 1e21, -0, NaN, 1e-7])],
  [0.5, () => rng.pick([true, false, null])]
])()

const attributeName = (rng) => rng.pick(['level', 'id', 'class', 'align', 'ychange', '2', '1'])

const xmlElement = (rng, depth) => {
  const attributes = rng.shuffle(['level', 'id', 'align']).slice(0, rng.pick([0, 0, 1, 2]))
  return {
    $: 'xmlelement',
    n: rng.pick(tags),
    a: attributes.map((k) => [k, encodeValue(attributeValue(rng))]),
    v: depth > 0 ? Array.from({ length: rng.int(0, 2) }, () => xmlNode(rng, depth - 1)) : []
  }
}

const xmlNode = (rng, depth) => rng.weighted([
  [4, () => xmlElement(rng, depth)],
  [4, () => nestedText(rng, 'xmltext')],
  [0.8, () => ({ $: 'xmlhook', n: rng.pick(['video', 'chart']), v: [[rng.pick(names), text(rng)]] })]
])()

const subdocument = (rng) => {
  const options = {}
  if (rng.chance(0.3)) options.gc = false
  if (rng.chance(0.3)) options.autoLoad = true
  if (rng.chance(0.3)) options.meta = plain(rng, 1, {})
  const guid = Array.from({ length: 4 }, () => rng.uint32().toString(16).padStart(8, '0')).join('-')
  return { $: 'doc', g: rng.chance(0.1) ? '' : guid, o: encodeObject(options) }
}

const textOp = (rng, p, type, o = {}) => {
  const length = type.length
  const string = o.emoji ? emojiText : text
  const attributes = () => (o.rich && rng.chance(0.25) ? { a: encodeObject(rng.chance(0.2) ? {} : mark(rng, o)) } : {})
  const half = o.emoji && settings.halves && rng.chance(0.3) ? otherHalf(rng, type) : null
  if (half !== null) return { op: 'insert', p, ...half }
  return rng.weighted([
    [5, () => ({ op: 'insert', p, i: point(rng, length), s: encodeValue(string(rng)), ...attributes() })],
    [length > 0 ? 3 : 0, () => {
      const [i, n] = range(rng, length, rng.chance(0.2) ? 30 : 5)
      return { op: 'delete', p, i, n }
    }],
    [o.rich && length > 0 ? 4 : 0, () => {
      const [i, n] = range(rng, length, 12)
      return { op: 'format', p, i, n, a: encodeObject(mark(rng, o)) }
    }],
    [o.embeds ? 2 : 0, () => ({ op: 'embed', p, i: point(rng, length), v: encodeValue(embedValue(rng, o)), ...attributes() })],
    [o.types ? 1 : 0, () => ({ op: 'embed', p, i: point(rng, length), v: nested(rng, 0, o.types), ...attributes() })],
    [o.rich ? 1.5 : 0, () => ({ op: 'delta', p, d: delta(rng, length, o) })],
    [o.attributes ? 1.5 : 0, () => ({ op: 'attr', p, k: attributeName(rng), v: encodeValue(attributeValue(rng)) })],
    [o.attributes ? 0.5 : 0, () => ({ op: 'unattr', p, k: attributeName(rng) })]
  ])()
}

const delta = (rng, length, o) => {
  const out = []
  let at = 0
  for (let n = rng.int(1, 4); n > 0; n--) {
    const left = length - at
    const attributes = rng.chance(0.4) ? { attributes: encodeObject(mark(rng, o)) } : {}
    const step = rng.weighted([
      [3, () => ({ insert: encodeValue((o.emoji ? emojiText : text)(rng)), ...attributes })],
      [o.embeds ? 1 : 0, () => ({ insert: { $: 'embed', v: encodeValue(embedValue(rng, o)) }, ...attributes })],
      // Beyond the end yjs adds line breaks.
      [left > 0 ? 3 : 0.3, () => ({ retain: rng.int(1, rng.chance(0.1) ? left + 3 : Math.max(1, Math.min(left, 8))), ...attributes })],
      [left > 0 ? 2 : 0, () => ({ delete: rng.int(1, Math.min(left, 5)) })]
    ])()
    at = Math.min(length, at + (step.retain ?? 0) + (step.delete ?? 0))
    out.push(step)
  }
  return out
}

const listOp = (rng, p, type, item) => {
  const length = type.length
  const items = () => Array.from({ length: rng.weighted([[4, 1], [2, 2], [1, 4]]) }, () => item(rng))
  return rng.weighted([
    [4, () => ({ op: 'ins', p, i: point(rng, length), v: items() })],
    [1.5, () => ({ op: 'push', p, v: items() })],
    [0.7, () => ({ op: 'unshift', p, v: items() })],
    [type instanceof Y.XmlFragment ? 2 : 0, () => ({ op: 'after', p, i: point(rng, length), v: items() })],
    [length > 0 ? 3 : 0, () => {
      const [i, n] = range(rng, length, rng.chance(0.2) ? 12 : 2)
      return { op: 'del', p, i, n }
    }]
  ])()
}

const mapOp = (rng, p, type, keys, value) => rng.weighted([
  [6, () => {
    const k = rng.pick(keys)
    return { op: 'set', p, k, v: k === '__proto__' ? 'own' : value(rng) }
  }],
  [type.size > 0 ? 2 : 0, () => ({ op: 'unset', p, k: rng.pick(keys) })],
  [0.4, () => ({ op: 'clear', p })]
])()

const plainItem = (options) => (rng) => encodeValue(plain(rng, 2, { ...options, bare: true, top: true }))
const plainValue = (options) => (rng) => encodeValue(plain(rng, 2, { ...options, top: true }))

const orNested = (item, chance, kinds) => (rng) => (rng.chance(chance) ? nested(rng, 2, kinds) : item(rng))

const xmlListOp = (rng, p, type) => listOp(rng, p, type, (r) => xmlNode(r, 2))

const xmlElementOp = (rng, p, type) => (rng.chance(0.35)
  ? rng.chance(0.75)
    ? { op: 'attr', p, k: attributeName(rng), v: encodeValue(attributeValue(rng)) }
    : { op: 'unattr', p, k: attributeName(rng) }
  : xmlListOp(rng, p, type))

// An operation on any shared type, by its kind.
const anyOp = (rng, p, type, o = {}) => {
  const kinds = o.kinds ?? ['array', 'map', 'text']
  if (type instanceof Y.Text) return textOp(rng, p, type, { rich: true, embeds: true, attributes: type instanceof Y.XmlText || o.attributes, ...o })
  if (type instanceof Y.XmlHook) return mapOp(rng, p, type, names, plainValue(o))
  if (type instanceof Y.Map) return mapOp(rng, p, type, o.keys ?? names, orNested(plainValue(o), o.nest ?? 0.4, kinds))
  if (type instanceof Y.Array) return listOp(rng, p, type, orNested(plainItem(o), o.nest ?? 0.4, kinds))
  if (type instanceof Y.XmlElement) return xmlElementOp(rng, p, type)
  return xmlListOp(rng, p, type)
}

const anywhere = (o) => (rng, doc, roots) => {
  const types = listTypes(doc, roots)
  const [path, type] = rng.chance(0.3) ? types[types.length - 1] : rng.pick(types)
  return anyOp(rng, path, type, o)
}

const atRoot = (name, op) => (rng, doc) => op(rng, [name], doc.share.get(name))

// Places in something long: where the last edit was, where an earlier one was, or
// anywhere. yjs finds them by the 80 places that it remembers of a list.
const wander = (rng, memory, length) => {
  const places = memory.places ??= []
  const kind = rng.weighted([[places.length > 0 ? 4 : 0, 'on'], [places.length > 0 ? 5 : 0, 'back'], [3, 'anywhere']])
  let at = kind === 'on' ? places[places.length - 1] : kind === 'back' ? rng.pick(places) : point(rng, length)
  at = Math.min(at, length)
  if (kind !== 'on') places.push(at)
  if (places.length > 130) places.shift()
  return at
}

// Moves the places as an edit at i moves what lies behind it.
const shift = (memory, i, inserted, deleted) => {
  const { places } = memory
  const last = places.length - 1
  places.forEach((at, n) => {
    if (at > i) places[n] = Math.max(i, at - deleted) + inserted
  })
  if (inserted > 0) places[last] = i + inserted
}

const longText = (rng) => {
  let s = ''
  while (s.length < 60 || rng.chance(0.8)) s += rng.chance(0.02) ? rng.pick(emoji) : rng.pick(words)
  return s
}

const longTextOp = (rng, p, type, memory) => {
  const length = type.length
  const i = wander(rng, memory, length)
  const insert = (s) => {
    shift(memory, i, s.length, 0)
    return { op: 'insert', p, i, s: encodeValue(s) }
  }
  return rng.weighted([
    [length < 600 ? 5 : 0.2, () => insert(longText(rng))],
    [8, () => insert(rng.chance(0.6) ? rng.pick('abcdefgh ') : (rng.chance(0.05) ? emojiText : text)(rng))],
    [length > 0 ? 7 : 0, () => {
      const from = Math.min(i, length - 1)
      const n = rng.int(1, Math.min(length - from, rng.chance(0.06) ? 90 : 6))
      shift(memory, from, 0, n)
      return { op: 'delete', p, i: from, n }
    }],
    [0.4, () => {
      shift(memory, i, 1, 0)
      return { op: 'embed', p, i, v: encodeValue({ image: rng.int(1, 9) }) }
    }]
  ])()
}

const longArrayOp = (rng, p, type, memory) => {
  const length = type.length
  const i = wander(rng, memory, length)
  const item = () => rng.weighted([
    [12, () => rng.int(0, 99)],
    [2, () => rng.pick(words)],
    [1, () => encodeValue(bytes(rng))],
    [0.5, () => ({ $: 'map', v: [] })]
  ])()
  const items = (n) => Array.from({ length: n }, item)
  const insert = (v) => {
    shift(memory, i, v.length, 0)
    return { op: 'ins', p, i, v }
  }
  return rng.weighted([
    [length < 200 ? 3 : 0.2, () => insert(items(rng.int(10, 60)))],
    [8, () => insert(items(rng.int(1, 3)))],
    [1, () => ({ op: 'push', p, v: items(1) })],
    [0.5, () => ({ op: 'unshift', p, v: items(1) })],
    [length > 0 ? 7 : 0, () => {
      const from = Math.min(i, length - 1)
      const n = rng.int(1, Math.min(length - from, rng.chance(0.06) ? 40 : 4))
      shift(memory, from, 0, n)
      return { op: 'del', p, i: from, n }
    }]
  ])()
}

/**
 * name -> {roots, next(rng, doc, roots, memory)}, where memory is an object of the
 * client's own and roots are those declared so far. Of the other fields
 *
 *   undo     is the chance that every client has an undo manager
 *   legacy   adds a writer of ContentJSON, which no current API emits
 *   late     clients declare roots as they go
 *   batch    how many operations a transaction has
 *   first    is how many operations the first client makes before the others join
 *   long     the session has some hundred operations; only its script matters, so it is
 *            not played in other orders
 *   events   what observers see is recorded, see events.mjs
 *   weight   how often the family is picked, 1 if absent
 */
export const families = {
  text: {
    roots: { text: 'text' },
    next: atRoot('text', (rng, p, type) => textOp(rng, p, type))
  },
  richtext: {
    roots: { text: 'text' },
    next: atRoot('text', (rng, p, type) => textOp(rng, p, type, { rich: true }))
  },
  emoji: {
    roots: { text: 'text' },
    next: atRoot('text', (rng, p, type) => textOp(rng, p, type, { emoji: true, rich: rng.chance(0.3) }))
  },
  embeds: {
    roots: { text: 'text' },
    next: (rng, doc, roots) => {
      const [path, type] = rng.pick(listTypes(doc, roots))
      if (!(type instanceof Y.Text)) return anyOp(rng, path, type)
      return textOp(rng, path, type, { rich: true, embeds: true, odd: true, types: path.length < 3 ? ['map', 'array', 'text', 'xmlelement'] : undefined, attributes: true })
    }
  },
  map: {
    roots: { map: 'map' },
    next: atRoot('map', (rng, p, type) => mapOp(rng, p, type, names.slice(0, 3), plainValue({})))
  },
  keys: {
    roots: { map: 'map', '': 'array', __proto__x: 'map' },
    next: (rng, doc) => {
      const name = rng.pick(['map', 'map', '', '__proto__x'])
      const type = doc.share.get(name)
      return name === ''
        ? listOp(rng, [name], type, plainItem({ odd: true }))
        : mapOp(rng, [name], type, oddKeys, orNested(plainValue({ odd: true }), 0.15, ['map']))
    }
  },
  array: {
    roots: { array: 'array' },
    next: atRoot('array', (rng, p, type) => listOp(rng, p, type, plainItem({})))
  },
  values: {
    roots: { array: 'array', map: 'map' },
    next: (rng, doc) => (rng.chance(0.5)
      ? listOp(rng, ['array'], doc.share.get('array'), plainItem({ values: true }))
      : mapOp(rng, ['map'], doc.share.get('map'), names, plainValue({ values: true })))
  },
  nested: {
    roots: { map: 'map', array: 'array' },
    next: anywhere({ nest: 0.55, kinds: ['array', 'map', 'map', 'text'] })
  },
  xml: {
    // The shape y-prosemirror writes: a fragment of elements and formatted texts.
    roots: { prosemirror: 'xmlfragment' },
    next: anywhere({})
  },
  xmltext: {
    // The shape slate-yjs writes: texts inside texts, attributes on texts.
    roots: { content: 'xmltext', element: 'xmlelement' },
    next: (rng, doc, roots) => {
      const [path, type] = rng.pick(listTypes(doc, roots))
      return anyOp(rng, path, type, path.length < 4 ? { types: ['xmltext', 'xmlelement'] } : {})
    }
  },
  undo: {
    roots: { text: 'text', map: 'map', array: 'array', prosemirror: 'xmlfragment' },
    undo: 1,
    next: anywhere({ nest: 0.3 })
  },
  subdocs: {
    roots: { map: 'map', array: 'array' },
    next: (rng, doc, roots) => {
      const [path, type] = rng.pick(listTypes(doc, roots))
      const item = (r) => (r.chance(0.5) ? subdocument(r) : r.chance(0.2) ? nested(r, 0, ['map', 'array']) : encodeValue(plain(r, 1, { bare: true, top: true })))
      return type instanceof Y.Map ? mapOp(rng, path, type, names, item) : listOp(rng, path, type, item)
    }
  },
  legacy: {
    roots: { array: 'array', map: 'map' },
    legacy: true,
    next: (rng, doc) => (rng.chance(0.6)
      ? listOp(rng, ['array'], doc.share.get('array'), plainItem({}))
      : mapOp(rng, ['map'], doc.share.get('map'), names, plainValue({})))
  },
  mixed: {
    roots: { text: 'text', map: 'map', array: 'array', prosemirror: 'xmlfragment', content: 'xmltext' },
    undo: 0.5,
    next: anywhere({ nest: 0.3, emoji: true, values: true, kinds: ['array', 'map', 'text', 'xmltext', 'xmlelement'] })
  },
  objects: {
    // Formats whose values are objects, which yjs compares member by member.
    roots: { text: 'text' },
    next: atRoot('text', (rng, p, type) => textOp(rng, p, type, { rich: true, objects: true }))
  },
  burst: {
    // Many operations in one transaction, also on what the same one made.
    roots: { text: 'text', map: 'map', array: 'array', prosemirror: 'xmlfragment' },
    batch: (rng) => rng.int(1, 40),
    weight: 0.7,
    next: anywhere({ nest: 0.4, emoji: true, kinds: ['array', 'map', 'text', 'xmltext', 'xmlelement'] })
  },
  late: {
    roots: { text: 'text', plain: 'text', array: 'array', map: 'map', content: 'xmltext' },
    late: true,
    next: (rng, doc, roots) => {
      const [path, type] = rng.pick(listTypes(doc, roots))
      return path[0] === 'plain' ? textOp(rng, path, type) : anyOp(rng, path, type, { nest: 0.2 })
    }
  },
  markers: {
    roots: { text: 'text', array: 'array' },
    long: true,
    weight: 0.4,
    batch: (rng) => (rng.chance(0.04) ? rng.int(10, 60) : 1),
    next: (rng, doc, roots, memory) => {
      if (memory.root === undefined || rng.chance(0.02)) memory.root = rng.chance(0.7) ? 'text' : 'array'
      const type = doc.share.get(memory.root)
      const own = memory[memory.root] ??= {}
      return memory.root === 'text' ? longTextOp(rng, ['text'], type, own) : longArrayOp(rng, ['array'], type, own)
    }
  },
  latemarkers: {
    // yjs remembers places only of texts without formats, so that mostly they change
    // nothing but the time an edit takes. A root that got its formats before it was declared
    // is taken for such a text: there the place that one counts from decides which formats
    // seem to be in force, and so what an edit writes and cleans up.
    roots: { text: 'text' },
    long: true,
    late: true,
    weight: 0.5,
    first: 60,
    batch: (rng) => (rng.chance(0.15) ? rng.int(5, 50) : 1),
    next: (rng, doc, roots, memory) => {
      const type = doc.share.get('text')
      if (memory.client > 0) return longTextOp(rng, ['text'], type, memory)
      const length = type.length
      if (length < 300 && rng.chance(0.5)) return { op: 'insert', p: ['text'], i: point(rng, length), s: encodeValue(longText(rng)) }
      if (length > 0 && rng.chance(0.5)) {
        const [i, n] = range(rng, length, 40)
        return { op: 'format', p: ['text'], i, n, a: encodeObject(mark(rng)) }
      }
      return textOp(rng, ['text'], type, { rich: true, embeds: true })
    }
  },
  events: {
    roots: { text: 'text', map: 'map', array: 'array', prosemirror: 'xmlfragment', content: 'xmltext' },
    events: true,
    weight: 0.8,
    next: anywhere({ watched: true, nest: 0.3, kinds: ['array', 'map', 'text', 'xmltext', 'xmlelement'] })
  }
}
