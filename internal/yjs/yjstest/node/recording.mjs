// Records an editing session for examples/quickstart: two people write a page in
// a block editor, in the document shape of @yoopta/collaboration 6:
//
//   blockOrder     Y.Array of block IDs
//   blockMeta      Y.Map: block ID -> Y.Map {type, depth, align}
//   blockContents  Y.Map: block ID -> Y.XmlFragment
//                    Y.XmlElement (the element's type; attributes id, props as JSON)
//                      Y.XmlText (marks as attributes, inline elements embedded)
//
// It writes two files, the same on every run:
//
//   session.jsonl.gz        one line per update, as it arrived: {from, at, update}: who sent it,
//                           when (milliseconds), the v1 update in base64; the network
//                           delivers out of order in places
//   session.expected.json   what the page holds in the end: title, text (one line per block),
//                           content (see values.mjs), stateVector and state in base64
//
//   node recording.mjs [--out DIR]

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import * as Y from 'yjs'
import { Prng } from './prng.mjs'
import { contentOf, declare } from './values.mjs'

const roots = { blockOrder: 'array', blockMeta: 'map', blockContents: 'map' }

const rng = new Prng(20_26)

const hexID = () => Array.from({ length: 4 }, () => rng.uint32().toString(16).padStart(8, '0')).join('')
const uuid = () => hexID().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

class Writer {
  constructor (name, clientID) {
    this.name = name
    this.doc = new Y.Doc({ guid: 'page' })
    this.doc.clientID = clientID
    declare(this.doc, roots)
    this.order = this.doc.getArray('blockOrder')
    this.meta = this.doc.getMap('blockMeta')
    this.contents = this.doc.getMap('blockContents')
    this.undo = new Y.UndoManager([this.order, this.meta, this.contents], {
      captureTimeout: Number.MAX_SAFE_INTEGER,
      trackedOrigins: new Set([name])
    })
  }

  edit (change) {
    this.doc.transact(change, this.name)
  }

  text (block) {
    return this.contents.get(block).get(0).get(0)
  }

  insertBlock (id, at, type, element, props) {
    this.edit(() => {
      this.order.insert(Math.min(at, this.order.length), [id])
      const meta = new Y.Map()
      this.meta.set(id, meta)
      meta.set('type', type)
      meta.set('depth', 0)
      meta.set('align', 'left')
      const fragment = new Y.XmlFragment()
      this.contents.set(id, fragment)
      const xml = new Y.XmlElement(element)
      fragment.insert(0, [xml])
      xml.setAttribute('id', uuid())
      xml.setAttribute('props', JSON.stringify(props ?? { nodeType: 'block' }))
      xml.insert(0, [new Y.XmlText()])
    })
  }

  removeBlock (id) {
    this.edit(() => {
      const at = this.order.toArray().indexOf(id)
      if (at >= 0) this.order.delete(at, 1)
      this.meta.delete(id)
      this.contents.delete(id)
    })
  }

  moveBlock (id, to) {
    this.edit(() => {
      const at = this.order.toArray().indexOf(id)
      if (at < 0) return
      this.order.delete(at, 1)
      this.order.insert(Math.min(to, this.order.length), [id])
    })
  }
}

// What people do, one yield per transaction. Positions are looked up in the text
// each time, because the other one may have written meanwhile.

const keystrokes = function * (writer, block, string, index) {
  let cursor = Y.createRelativePositionFromTypeIndex(writer.text(block), index, -1)
  for (let i = 0; i < string.length;) {
    const piece = string.slice(i, i + rng.weighted([[8, 1], [6, 2], [3, 3], [1, 4]]))
    i += piece.length
    writer.edit(() => {
      const text = writer.text(block)
      const at = Y.createAbsolutePositionFromRelativePosition(cursor, writer.doc)?.index ?? text.length
      text.insert(at, piece, {})
      cursor = Y.createRelativePositionFromTypeIndex(text, at + piece.length, -1)
    })
    yield
    if (rng.chance(0.025)) {
      // A slip of the finger, taken back.
      const slip = rng.pick(['e', 'q', 'ä', 'tt', '#'])
      const at = Y.createAbsolutePositionFromRelativePosition(cursor, writer.doc).index
      writer.edit(() => writer.text(block).insert(at, slip, {}))
      yield
      writer.edit(() => writer.text(block).delete(at, slip.length))
      yield
    }
  }
}

const find = (writer, block, string) => {
  // Embedded elements count as one unit, as they do in the text's indices.
  const flat = writer.text(block).toDelta().map(({ insert }) => (typeof insert === 'string' ? insert : '\ufffc')).join('')
  const at = flat.indexOf(string)
  if (at < 0) throw new Error(`${string} is not in ${JSON.stringify(flat)}`)
  return at
}

const write = function * (writer, block, at, type, element, string, props) {
  writer.insertBlock(block, at, type, element, props)
  yield
  yield * keystrokes(writer, block, string, 0)
}

const insertAfter = (writer, block, anchor, string) => keystrokes(writer, block, string, find(writer, block, anchor) + anchor.length)

const mark = function * (writer, block, string, marks) {
  writer.edit(() => writer.text(block).format(find(writer, block, string), string.length, marks))
  yield
}

const replace = function * (writer, block, string, by) {
  const at = find(writer, block, string)
  writer.edit(() => writer.text(block).delete(at, string.length))
  yield
  yield * keystrokes(writer, block, by, at)
}

const link = function * (writer, block, anchor, label, url) {
  writer.edit(() => {
    const at = find(writer, block, anchor) + anchor.length
    const element = new Y.XmlElement('link')
    writer.text(block).insertEmbed(at, element)
    element.setAttribute('id', uuid())
    element.setAttribute('props', JSON.stringify({ nodeType: 'inline', url }))
    const text = new Y.XmlText()
    element.insert(0, [text])
    text.insert(0, label, {})
  })
  yield
}

const once = function * (act) {
  act()
  yield
}

const ada = new Writer('ada', 2_764_091_733)
const ben = new Writer('ben', 904_517_286)

const [title, why, daily, merge, list1, list2, list3, aside, end, scrap] = Array.from({ length: 10 }, uuid)

const scenes = [
  // Ada opens the page.
  [
    write(ada, title, 0, 'HeadingOne', 'heading-one', 'Notes that stay yours'),
    []
  ],
  [
    (function * () {
      yield * write(ada, why, 1, 'Paragraph', 'paragraph', 'A note is a small promise to your later self: this mattered, and it will still be here. Soma keeps that promise on your own disk first.')
      yield * mark(ada, why, 'on your own disk first', { bold: true })
    })(),
    write(ben, daily, 2, 'Paragraph', 'paragraph', 'Most days look like this. You write on the train, where the network comes and goes, and nothing waits for it. At home the desk machine already has the page.')
  ],
  // Both at once, each in the other's paragraph too.
  [
    (function * () {
      yield * insertAfter(ada, daily, 'on the train', ' in the morning')
      yield * write(ada, merge, 3, 'Paragraph', 'paragraph', 'When two people change one sentence, no one is asked to choose a winner. Both sets of keystrokes are kept, in an order that every machine agrees on.')
      yield * mark(ada, merge, 'no one is asked to choose a winner', { italic: true })
    })(),
    (function * () {
      yield * insertAfter(ben, why, 'to your later self', ', or to a friend')
      yield * write(ben, scrap, 9, 'Paragraph', 'paragraph', 'TODO: say something about servers?')
      yield * mark(ben, daily, 'nothing waits for it', { underline: true })
      yield * once(() => ben.removeBlock(scrap))
    })()
  ],
  [
    (function * () {
      yield * write(ada, list1, 9, 'BulletedList', 'bulleted-list', 'Write anywhere; a closed lid is not a lost line.')
      yield * write(ada, list2, 9, 'BulletedList', 'bulleted-list', 'Share a space with three friends, not with the whole web.')
      yield * replace(ada, list2, 'three', 'a few')
    })(),
    (function * () {
      yield * write(ben, list3, 9, 'BulletedList', 'bulleted-list', 'Take everything with you: the pages are files you can copy. 📦')
      yield * replace(ben, title, 'stay', 'remain')
      ben.undo.stopCapturing()
      yield * once(() => ben.moveBlock(list3, 4))
      yield * mark(ben, list3, 'Take everything with you', { bold: true })
    })()
  ],
  [
    (function * () {
      yield * once(() => ada.moveBlock(merge, 1))
      yield * write(ada, end, 99, 'Paragraph', 'paragraph', 'That is all there is to it. Close the laptop, open it next week, and go on in the middle of the sentence.')
      yield * mark(ada, end, 'go on in the middle of the sentence', { italic: true, highlight: { color: '#ffe08a' } })
      yield * once(() => ada.edit(() => ada.meta.get(list1).set('depth', 1)))
      yield * once(() => ada.edit(() => ada.meta.get(list1).set('depth', 0)))
    })(),
    (function * () {
      yield * write(ben, aside, 5, 'Callout', 'callout', 'Good to know: nothing here needs an account. For the curious there is ', { nodeType: 'block', theme: 'info' })
      yield * link(ben, aside, 'there is ', 'an essay on local-first software', 'https://example.org/local-first')
      yield * keystrokes(ben, aside, ', short enough for a coffee. ☕️', ben.text(aside).length)
      yield * once(() => ben.edit(() => ben.meta.get(aside).set('align', 'center')))
      yield * once(() => ben.moveBlock(merge, 3))
    })()
  ],
  // Last touches.
  [
    (function * () {
      yield * replace(ada, title, 'remain', 'stay')
      yield * mark(ada, title, 'yours', { italic: true })
      yield * mark(ada, merge, 'no one is asked to choose a winner', { italic: null, bold: true })
    })(),
    (function * () {
      yield * insertAfter(ben, end, 'open it next week', ', on another machine if you like')
      ben.undo.stopCapturing()
      yield * keystrokes(ben, list1, ' Really!', ben.text(list1).length)
      yield * once(() => ben.undo.undo())
    })()
  ]
]

// The wire: what one sends reaches the other, and the recorder, a little later.
const recorded = []
let clock = 0
for (const [from, to] of [[ada, ben], [ben, ada]]) {
  from.inbox ??= []
  to.inbox ??= []
  from.doc.on('update', (update, origin) => {
    if (origin === 'remote') return
    recorded.push({ from: from.name, at: clock, sent: recorded.length, update })
    to.inbox.push({ due: clock + rng.int(40, 900), update })
  })
}

const receive = (writer, all) => {
  writer.inbox.sort((a, b) => a.due - b.due)
  while (writer.inbox.length > 0 && (all || writer.inbox[0].due <= clock)) {
    Y.applyUpdate(writer.doc, writer.inbox.shift().update, 'remote')
  }
}

const meet = () => {
  // Clean-up after formatting may be sent in answer, so until all is quiet.
  while (ada.inbox.length + ben.inbox.length > 0) {
    receive(ada, true)
    receive(ben, true)
  }
}

for (const [first, second] of scenes) {
  // Generators look their positions up when they start, so a scene begins in agreement.
  meet()
  const running = [[ada, first], [ben, second[Symbol.iterator]()]]
  while (running.length > 0) {
    clock += rng.int(30, 180)
    const turn = rng.int(0, running.length - 1)
    const [writer, acts] = running[turn]
    receive(writer, false)
    if (acts.next().done) running.splice(turn, 1)
  }
}
meet()

// Bursts of the stream arrive mixed up, and some updates twice.
const arrived = []
for (let i = 0; i < recorded.length;) {
  const burst = recorded.slice(i, i + (rng.chance(0.12) ? rng.int(3, 12) : 1))
  i += burst.length
  arrived.push(...(burst.length > 1 ? rng.shuffle(burst) : burst))
  if (rng.chance(0.02)) arrived.push(rng.pick(recorded.slice(0, i)))
}

const reader = new Y.Doc({ guid: 'page' })
reader.clientID = 0
for (const { update } of arrived) Y.applyUpdate(reader, update)
declare(reader, roots)

const content = contentOf(reader, roots)
for (const { name, doc } of [ada, ben]) {
  if (JSON.stringify(contentOf(doc, roots)) !== JSON.stringify(content)) throw new Error(`${name} sees another page`)
}
if (reader.store.pendingStructs !== null || reader.store.pendingDs !== null) throw new Error('something never arrived')

const plain = (node) => (node instanceof Y.XmlText
  ? node.toDelta().map(({ insert }) => (typeof insert === 'string' ? insert : plain(insert))).join('')
  : node.toArray().map(plain).join(''))

const lines = reader.getArray('blockOrder').toArray().map((id) => plain(reader.getMap('blockContents').get(id)))
const base64 = (bytes) => Buffer.from(bytes).toString('base64')

const { values: args } = parseArgs({ options: { out: { type: 'string' } } })
const out = args.out ?? join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..', 'examples', 'quickstart')
mkdirSync(out, { recursive: true })
const jsonl = arrived.map(({ from, at, update }) => JSON.stringify({ from, at, update: base64(update) }) + '\n').join('')
const packed = gzipSync(jsonl, { level: 9 })
writeFileSync(join(out, 'session.jsonl.gz'), packed)
writeFileSync(join(out, 'session.expected.json'), JSON.stringify({
  updates: arrived.length,
  title: lines[0],
  text: lines.join('\n'),
  stateVector: base64(Y.encodeStateVector(reader)),
  state: base64(Y.encodeStateAsUpdate(reader)),
  content
}, null, 1) + '\n')
console.log(`${arrived.length} updates, ${packed.length} bytes\n\n${lines.join('\n')}`)
