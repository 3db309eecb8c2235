// Documents of Lexical's editor with its own Yjs binding.

import './dom.mjs'
import { createHeadlessEditor } from '@lexical/headless'
import { createBinding, syncLexicalUpdateToYjs, syncYjsChangesToLexical } from '@lexical/yjs'
import { HorizontalRuleNode } from '@lexical/extension'
import { HeadingNode, QuoteNode } from '@lexical/rich-text'
import { ListItemNode, ListNode } from '@lexical/list'
import { CodeHighlightNode, CodeNode } from '@lexical/code'
import { TableCellNode, TableNode, TableRowNode } from '@lexical/table'
import { AutoLinkNode, LinkNode } from '@lexical/link'
import { $getRoot, $isElementNode, $isTextNode, $parseSerializedNode, DecoratorNode } from 'lexical'
import { code, url, phrase } from './words.mjs'
import { merge, newDoc } from './clients.mjs'

// An image in a line, as many hosts have one.
class ImageNode extends DecoratorNode {
  static getType () { return 'image' }
  static clone (node) { return new ImageNode(node.__src, node.__key) }
  static importJSON ({ src }) { return new ImageNode(src) }
  constructor (src, key) {
    super(key)
    this.__src = src
  }

  exportJSON () { return { ...super.exportJSON(), type: 'image', version: 1, src: this.__src } }
  isInline () { return true }
}

const nodes = [
  HeadingNode, QuoteNode, ListNode, ListItemNode, CodeNode, CodeHighlightNode, TableNode, TableRowNode, TableCellNode,
  LinkNode, AutoLinkNode, HorizontalRuleNode, ImageNode
]

const nothing = () => {}
const provider = {
  awareness: { getLocalState: () => null, getStates: () => new Map(), setLocalState: nothing, setLocalStateField: nothing, on: nothing, off: nothing },
  connect: nothing,
  disconnect: nothing,
  on: nothing,
  off: nothing
}

const open = (doc) => {
  const editor = createHeadlessEditor({ namespace: 'shape', nodes, onError: (e) => { throw e } })
  const binding = createBinding(editor, provider, 'main', doc, new Map([['main', doc]]))
  editor.registerUpdateListener(({ prevEditorState, editorState, dirtyElements, dirtyLeaves, normalizedNodes, tags }) => {
    syncLexicalUpdateToYjs(binding, provider, prevEditorState, editorState, dirtyElements, dirtyLeaves, normalizedNodes, tags)
  })
  binding.root.getSharedType().observeDeep((events, transaction) => {
    if (transaction.origin !== binding) syncYjsChangesToLexical(binding, provider, events, false, nothing)
  })
  return editor
}

const element = (type, children, more) => ({ type, version: 1, direction: null, format: '', indent: 0, children, ...more })

const text = (rng, s = phrase(rng, 4)) => ({
  type: 'text',
  version: 1,
  detail: 0,
  format: rng.chance(0.3) ? rng.int(1, 127) : 0,
  mode: rng.chance(0.05) ? 'token' : 'normal',
  style: rng.chance(0.1) ? 'color: red;' : '',
  text: s
})

const line = (rng) => {
  const children = []
  for (let i = rng.weighted([[1, 0], [4, 1], [2, 2], [2, 4]]); i > 0; i--) {
    children.push(rng.weighted([
      [8, () => text(rng)],
      [1, () => ({ type: 'linebreak', version: 1 })],
      [1, () => ({ type: 'tab', version: 1, detail: 2, format: 0, mode: 'normal', style: '', text: '\t' })],
      [1, () => element('link', [text(rng)], { url: url(rng), rel: 'noreferrer', target: null, title: null })],
      [1, () => ({ type: 'image', version: 1, src: url(rng) })]
    ])())
  }
  return children
}

const shape = (rng) => ({
  ...(rng.chance(0.1) ? { format: rng.pick(['center', 'right', 'justify']) } : {}),
  ...(rng.chance(0.1) ? { indent: rng.int(1, 2) } : {})
})

const list = (rng, depth) => {
  const listType = rng.pick(['bullet', 'number', 'check'])
  const items = Array.from({ length: rng.int(1, 4) }, (_, i) => element(
    'listitem',
    depth < 3 && rng.chance(0.2) ? [list(rng, depth + 1)] : line(rng),
    { value: i + 1, ...(listType === 'check' ? { checked: rng.chance(0.5) } : {}) }
  ))
  return element('list', items, { listType, start: 1, tag: listType === 'number' ? 'ol' : 'ul' })
}

const block = (rng, depth = 0) => rng.weighted([
  [8, () => element('paragraph', line(rng), { ...shape(rng), textFormat: 0, textStyle: '' })],
  [2, () => element('heading', line(rng), { tag: rng.pick(['h1', 'h2', 'h3']) })],
  [1, () => element('quote', line(rng))],
  [1, () => {
    const children = code(rng).split('\n').flatMap((s, i) => [
      ...(i > 0 ? [{ type: 'linebreak', version: 1 }] : []),
      ...(s === '' ? [] : [{ ...text(rng, s), type: 'code-highlight', format: 0, mode: 'normal', highlightType: rng.chance(0.5) ? 'keyword' : null }])
    ])
    return element('code', children, { language: 'javascript' })
  }],
  [1, () => ({ type: 'horizontalrule', version: 1 })],
  [2, () => list(rng, 0)],
  [depth < 2 ? 1 : 0, () => {
    const columns = rng.int(1, 3)
    const cell = () => element('tablecell', Array.from({ length: rng.int(1, 2) }, () => block(rng, depth + 2)), {
      headerState: rng.int(0, 3), colSpan: 1, rowSpan: 1, backgroundColor: null
    })
    const row = () => element('tablerow', Array.from({ length: columns }, cell))
    return element('table', Array.from({ length: rng.int(1, 3) }, row))
  }]
])()

const $exported = (node) => $isElementNode(node) ? { ...node.exportJSON(), children: node.getChildren().map($exported) } : node.exportJSON()

const $all = (node) => $isElementNode(node) ? [node, ...node.getChildren().flatMap($all)] : [node]

const $change = (rng) => {
  const root = $getRoot()
  const children = root.getChildren()
  const nodes = $all(root)
  switch (rng.int(0, 4)) {
    case 0: {
      const made = $parseSerializedNode(block(rng))
      if (children.length > 0) rng.pick(children).insertAfter(made)
      else root.append(made)
      break
    }
    case 1:
      if (children.length > 1) rng.pick(children).remove()
      break
    case 2:
      // A copy: the binding can loop over nodes that two people move at the same time.
      if (children.length > 1) {
        rng.pick(children.slice(1)).insertAfter($parseSerializedNode($exported(children[0])))
        children[0].remove()
      }
      break
    case 3: {
      const texts = nodes.filter((n) => $isTextNode(n) && n.isSimpleText())
      if (texts.length === 0) break
      const node = rng.pick(texts)
      node.spliceText(rng.int(0, node.getTextContentSize()), rng.int(0, 3), phrase(rng, 2))
      break
    }
    default: {
      const texts = nodes.filter((n) => $isTextNode(n) && n.isSimpleText())
      if (texts.length > 0) rng.pick(texts).toggleFormat(rng.pick(['bold', 'italic']))
    }
  }
}

// What arrives from outside is in the editor a moment later.
const mergeSettled = async (docs) => {
  merge(...docs)
  for (let i = 0; i < 5; i++) await null
}

export const lexical = async (rng) => {
  const docs = [newDoc(rng), newDoc(rng)]
  const editors = docs.map(open)
  editors[0].update(() => {
    for (let i = rng.int(1, 6); i > 0; i--) $getRoot().append($parseSerializedNode(block(rng)))
  }, { discrete: true })
  await mergeSettled(docs)
  for (let round = rng.int(0, 3); round > 0; round--) {
    for (const editor of editors) for (let i = rng.int(0, 3); i > 0; i--) editor.update(() => $change(rng), { discrete: true })
    await mergeSettled(docs)
  }
  await mergeSettled(docs)
  // What an editor shows that opens the document now.
  const doc = newDoc(rng)
  const editor = open(doc)
  await mergeSettled([doc, docs[0]])
  return {
    root: 'root',
    detected: true,
    doc,
    separator: '\n\n',
    text: editor.read(() => $getRoot().getTextContent()),
    json: editor.getEditorState().toJSON()
  }
}
