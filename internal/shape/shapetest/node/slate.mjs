// Documents of Slate's editor with slate-yjs.

import { createEditor, Editor, Element, Node, Text, Transforms } from 'slate'
import { slateNodesToInsertDelta, withYjs, YjsEditor, yTextToSlateElement } from '@slate-yjs/core'
import * as Y from 'yjs'
import { code, name, url, phrase } from './words.mjs'
import { merge, newDoc } from './clients.mjs'

const inlines = new Set(['link', 'mention', 'badge'])
const voids = new Set(['image', 'mention', 'divider'])

const withNodes = (editor) => {
  const { isInline, isVoid } = editor
  editor.isInline = (element) => inlines.has(element.type) || isInline(element)
  editor.isVoid = (element) => voids.has(element.type) || isVoid(element)
  return editor
}

const open = (doc, root) => {
  const editor = withNodes(withYjs(createEditor(), doc.get(root, Y.XmlText), { autoConnect: false }))
  YjsEditor.connect(editor)
  return editor
}

const text = (rng) => {
  const leaf = { text: phrase(rng, 4) }
  for (const mark of ['bold', 'italic', 'code']) if (rng.chance(0.15)) leaf[mark] = true
  if (rng.chance(0.05)) leaf.color = '#f00'
  return leaf
}

// As Slate normalises them: text on both sides of an inline element.
const line = (rng) => {
  if (rng.chance(0.1)) return [{ text: '' }]
  const children = [rng.chance(0.15) ? { text: '' } : text(rng)]
  for (let i = rng.weighted([[6, 0], [2, 1], [1, 2]]); i > 0; i--) {
    children.push(
      rng.weighted([
        [2, () => ({ type: 'link', url: url(rng), children: [text(rng)] })],
        [1, () => ({ type: 'mention', name: name(rng), children: [{ text: '' }] })],
        [1, () => ({ type: 'badge', children: [text(rng)] })]
      ])(),
      rng.chance(0.3) ? { text: '' } : text(rng)
    )
  }
  return children
}

const block = (rng, depth = 0) => {
  const blocks = (most) => Array.from({ length: rng.int(1, most) }, () => block(rng, depth + 1))
  const nested = depth < 3 ? 1 : 0
  return rng.weighted([
    [8, () => ({ type: 'paragraph', children: line(rng) })],
    [2, () => ({ type: rng.pick(['heading-one', 'heading-two']), children: line(rng) })],
    [1, () => ({ type: 'code', language: 'go', children: [{ text: code(rng) }] })],
    [1, () => ({ type: 'check-list-item', checked: rng.chance(0.5), children: line(rng) })],
    [1, () => ({ type: 'image', url: url(rng), children: [{ text: '' }] })],
    [nested, () => ({ type: 'block-quote', children: rng.chance(0.5) ? line(rng) : blocks(3) })],
    [2 * nested, () => ({
      type: rng.pick(['bulleted-list', 'numbered-list']),
      children: Array.from({ length: rng.int(1, 4) }, () => ({ type: 'list-item', children: rng.chance(0.7) ? line(rng) : blocks(2) }))
    })],
    [nested, () => {
      const columns = rng.int(1, 3)
      const cell = () => ({ type: 'table-cell', children: rng.chance(0.5) ? line(rng) : blocks(2) })
      const row = () => ({ type: 'table-row', children: Array.from({ length: columns }, cell) })
      return { type: 'table', children: Array.from({ length: rng.int(1, 3) }, row) }
    }]
  ])()
}

const change = (rng, editor) => {
  const texts = [...Node.texts(editor)]
  if (texts.length === 0) return
  const [leaf, path] = rng.pick(texts)
  const top = rng.int(0, editor.children.length - 1)
  switch (rng.int(0, 5)) {
    case 0:
      Transforms.insertText(editor, phrase(rng, 2), { at: { path, offset: rng.int(0, leaf.text.length) } })
      break
    case 1: {
      const from = rng.int(0, leaf.text.length)
      Transforms.delete(editor, { at: { anchor: { path, offset: from }, focus: { path, offset: rng.int(from, leaf.text.length) } } })
      break
    }
    case 2:
      Transforms.insertNodes(editor, block(rng), { at: [rng.int(0, editor.children.length)] })
      break
    case 3:
      if (editor.children.length > 1) Transforms.removeNodes(editor, { at: [top] })
      break
    case 4:
      if (editor.children.length > 1) Transforms.moveNodes(editor, { at: [top], to: [rng.int(0, editor.children.length - 1)] })
      break
    default:
      Transforms.setNodes(editor, { bold: true }, { at: path, match: Text.isText })
  }
}

const lowest = (editor) => {
  const lines = []
  for (const [node] of Editor.nodes(editor, { at: [], match: (n) => Element.isElement(n) && Editor.isBlock(editor, n), mode: 'lowest', voids: true })) {
    lines.push(Node.string(node))
  }
  return lines
}

export const slate = (rng) => {
  const root = rng.pick(['content', 'content', 'slate'])
  const docs = [newDoc(rng), newDoc(rng)]
  docs[0].get(root, Y.XmlText).applyDelta(slateNodesToInsertDelta(Array.from({ length: rng.int(1, 6) }, () => block(rng))))
  merge(...docs)
  const editors = docs.map((doc) => open(doc, root))
  for (let round = rng.int(0, 3); round > 0; round--) {
    for (const editor of editors) {
      for (let i = rng.int(0, 3); i > 0; i--) change(rng, editor)
      YjsEditor.flushLocalChanges(editor)
    }
    merge(...docs)
  }
  for (const editor of editors) YjsEditor.disconnect(editor)
  const doc = docs[0]
  // What an editor shows that opens the document now.
  const reader = withNodes(createEditor())
  reader.children = yTextToSlateElement(doc.get(root, Y.XmlText)).children
  return {
    root,
    detected: true,
    doc,
    separator: '\n',
    text: lowest(reader).join('\n'),
    json: reader.children
  }
}
