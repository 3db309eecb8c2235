// Documents of Yoopta's editor. Its collaboration is no package that can be had
// everywhere, so what it writes is written here, in its shape:
//
//   blockOrder     Y.Array of block IDs
//   blockMeta      Y.Map: block ID -> Y.Map {type, depth, align}
//   blockContents  Y.Map: block ID -> Y.XmlFragment of Y.XmlElement (named for the element's type;
//                  attributes id, props as JSON) that holds one Y.XmlText, with marks as formats and
//                  inline elements embedded, or further elements
//
// The blocks are made and turned into plain text by the real editor and its plugins.

import './dom.mjs'
import { createYooptaEditor } from '@yoopta/editor'
import Accordion from '@yoopta/accordion'
import Blockquote from '@yoopta/blockquote'
import Callout from '@yoopta/callout'
import { Code } from '@yoopta/code'
import Divider from '@yoopta/divider'
import { HeadingOne, HeadingThree, HeadingTwo } from '@yoopta/headings'
import Image from '@yoopta/image'
import Link from '@yoopta/link'
import { BulletedList, NumberedList, TodoList } from '@yoopta/lists'
import Paragraph from '@yoopta/paragraph'
import Table from '@yoopta/table'
import * as Y from 'yjs'
import { code, url, phrase } from './words.mjs'
import { merge, newDoc } from './clients.mjs'

// jsdom has none. This is what it is for an element that is not shown, as the editor's is.
Object.defineProperty(window.HTMLElement.prototype, 'innerText', { get () { return this.textContent } })

const plugins = [
  Paragraph, HeadingOne, HeadingTwo, HeadingThree, BulletedList, NumberedList, TodoList, Blockquote, Callout, Code, Divider, Image,
  Link, Table, Accordion
]
const voids = new Set(['Divider', 'Image'])

const editor = createYooptaEditor({ plugins, marks: [] })
const blank = {}
for (const type of Object.keys(editor.plugins)) {
  if (type !== 'Link') blank[type] = editor.getBlock({ id: editor.insertBlock(type) })
}

const text = (rng, s = phrase(rng, 4)) => {
  const leaf = { text: s }
  for (const mark of ['bold', 'italic', 'underline', 'strike', 'code']) if (rng.chance(0.12)) leaf[mark] = true
  return leaf
}

const id = (rng) => `${rng.uint32().toString(16)}-${rng.uint32().toString(16)}`

const line = (rng) => {
  if (rng.chance(0.15)) return [{ text: '' }]
  const children = [text(rng)]
  for (let i = rng.weighted([[5, 0], [2, 1], [1, 2]]); i > 0; i--) {
    children.push(
      { id: id(rng), type: 'link', props: { nodeType: 'inline', url: url(rng) }, children: [text(rng)] },
      text(rng)
    )
  }
  return children
}

const filled = (rng, element, type) => {
  const made = { ...structuredClone(element), id: id(rng) }
  if (made.type === 'todo-list') made.props = { ...made.props, checked: rng.chance(0.5) }
  made.children = voids.has(type)
    ? [{ text: '' }]
    : type === 'Code'
      ? [{ text: rng.chance(0.1) ? '' : code(rng) }]
      : element.children.some((c) => 'text' in c) ? line(rng) : element.children.map((c) => filled(rng, c, type))
  return made
}

const newBlock = (rng) => {
  const type = rng.chance(0.5) ? 'Paragraph' : rng.pick(Object.keys(blank))
  return {
    id: id(rng),
    type,
    value: blank[type].value.map((e) => filled(rng, e, type)),
    meta: { depth: rng.weighted([[4, 0], [1, 1]]), align: rng.pick(['left', 'left', 'center']) }
  }
}

class Page {
  constructor (doc) {
    this.doc = doc
    this.order = doc.getArray('blockOrder')
    this.meta = doc.getMap('blockMeta')
    this.contents = doc.getMap('blockContents')
  }

  insert (block, at) {
    this.doc.transact(() => {
      this.order.insert(Math.min(at, this.order.length), [block.id])
      const meta = this.meta.set(block.id, new Y.Map())
      meta.set('type', block.type)
      meta.set('depth', block.meta.depth)
      meta.set('align', block.meta.align)
      const fragment = this.contents.set(block.id, new Y.XmlFragment())
      for (const element of block.value) this.write(fragment, element)
    })
  }

  write (parent, { id, type, props, children }) {
    const element = new Y.XmlElement(type)
    if (parent instanceof Y.XmlText) parent.insertEmbed(parent.length, element, {})
    else parent.insert(parent.length, [element])
    element.setAttribute('id', id)
    if (props) element.setAttribute('props', JSON.stringify(props))
    if (!children.some((c) => 'text' in c)) {
      for (const child of children) this.write(element, child)
      return
    }
    const content = new Y.XmlText()
    element.insert(0, [content])
    for (const child of children) {
      if ('text' in child) {
        const { text, ...marks } = child
        content.insert(content.length, text, marks)
      } else {
        this.write(content, child)
      }
    }
  }

  delete (at) {
    this.doc.transact(() => {
      const [id] = this.order.slice(at, at + 1)
      this.order.delete(at, 1)
      this.meta.delete(id)
      this.contents.delete(id)
    })
  }

  move (from, to) {
    this.doc.transact(() => {
      const [id] = this.order.slice(from, from + 1)
      this.order.delete(from, 1)
      this.order.insert(to, [id])
    })
  }

  texts () {
    const find = (node) => node instanceof Y.XmlText ? [node] : node.toArray().flatMap(find)
    return [...this.contents.values()].filter((f) => f instanceof Y.XmlFragment).flatMap(find)
  }

  // The content value, as the editor makes it of the shared document.
  value () {
    const value = {}
    this.order.toArray().forEach((id, order) => {
      const meta = this.meta.get(id)
      const fragment = this.contents.get(id)
      if (!meta || !fragment) return
      value[id] = {
        id,
        type: meta.get('type'),
        value: fragment.toArray().map((e) => this.element(e)),
        meta: { order, depth: meta.get('depth'), align: meta.get('align') }
      }
    })
    return value
  }

  element (xml) {
    const props = xml.getAttribute('props')
    const first = xml.length > 0 ? xml.get(0) : undefined
    const children = first instanceof Y.XmlText
      ? first.toDelta().map(({ insert, attributes }) => typeof insert === 'string' ? { text: insert, ...attributes } : this.element(insert))
      : xml.toArray().map((e) => this.element(e))
    if (children.length === 0) children.push({ text: '' })
    return { id: xml.getAttribute('id') ?? '', type: xml.nodeName, children, ...(props ? { props: JSON.parse(props) } : {}) }
  }
}

const change = (rng, page) => {
  const length = page.order.length
  switch (rng.int(0, 4)) {
    case 0:
      page.insert(newBlock(rng), rng.int(0, length))
      break
    case 1:
      if (length > 1) page.delete(rng.int(0, length - 1))
      break
    case 2:
      if (length > 1) page.move(rng.int(0, length - 1), rng.int(0, length - 1))
      break
    default: {
      const texts = page.texts()
      if (texts.length === 0) break
      const content = rng.pick(texts)
      const at = rng.int(0, content.length)
      if (rng.chance(0.6)) content.insert(at, phrase(rng, 2), {})
      else content.delete(at, Math.min(rng.int(0, 5), content.length - at))
    }
  }
}

// What the editor itself says of one block. Of a table it says nothing, and of a check box "[x] ".
const plain = (block) => {
  const check = block.type === 'TodoList' ? 4 : 0
  return editor.getPlainText({ [block.id]: block }).slice(check)
}

const leaves = (element) => element.children.some((c) => 'text' in c) ? [element] : element.children.flatMap(leaves)

const string = (node) => 'text' in node ? node.text : node.children.map(string).join('')

const linesOf = (block) => {
  if (voids.has(block.type)) return []
  if (block.type === 'Table' || block.type === 'Accordion') return block.value.flatMap(leaves).map(string)
  return [plain(block)]
}

export const yoopta = (rng) => {
  const pages = [new Page(newDoc(rng)), new Page(newDoc(rng))]
  const docs = pages.map((p) => p.doc)
  for (let i = rng.int(1, 6); i > 0; i--) pages[0].insert(newBlock(rng), pages[0].order.length)
  merge(...docs)
  for (let round = rng.int(0, 3); round > 0; round--) {
    for (const page of pages) for (let i = rng.int(0, 4); i > 0; i--) change(rng, page)
    merge(...docs)
  }
  const value = pages[0].value()
  const blocks = Object.values(value).sort((a, b) => a.meta.order - b.meta.order)
  return {
    root: 'blockOrder',
    detected: true,
    doc: docs[0],
    separator: '\n',
    text: blocks.flatMap(linesOf).join('\n'),
    json: value
  }
}
