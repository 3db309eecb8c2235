// Documents of Quill's editor with y-quill.

import './dom.mjs'
import Quill from 'quill'
import { QuillBinding } from 'y-quill'
import { code, name, url, phrase } from './words.mjs'
import { copyOf, merge, newDoc } from './clients.mjs'

const open = (doc, root) => {
  const quill = new Quill(document.createElement('div'), { modules: { toolbar: false, history: false } })
  return { quill, binding: new QuillBinding(doc.getText(root), quill) }
}

const marks = (rng) => {
  const attributes = {}
  for (const mark of ['bold', 'italic', 'underline', 'strike', 'code']) if (rng.chance(0.12)) attributes[mark] = true
  if (rng.chance(0.1)) attributes.link = url(rng)
  if (rng.chance(0.05)) attributes.color = '#ff0000'
  return Object.keys(attributes).length > 0 ? { attributes } : {}
}

const embed = (rng) => rng.pick([{ image: url(rng) }, { video: url(rng) }])

const lineFormat = (rng) => rng.weighted([
  [8, {}],
  [2, { attributes: { header: rng.int(1, 3) } }],
  [2, { attributes: { list: rng.pick(['bullet', 'ordered', 'checked', 'unchecked']) } }],
  [1, { attributes: { list: 'bullet', indent: rng.int(1, 3) } }],
  [1, { attributes: { blockquote: true } }],
  [1, { attributes: { align: 'center', direction: 'rtl' } }]
])

const line = (rng) => {
  if (rng.chance(0.1)) {
    return code(rng).split('\n').flatMap((l) => [...(l === '' ? [] : [{ insert: l }]), { insert: '\n', attributes: { 'code-block': 'plain' } }])
  }
  const ops = []
  for (let i = rng.int(0, 4); i > 0; i--) {
    ops.push(rng.chance(0.12) ? { insert: embed(rng), ...(rng.chance(0.3) ? { attributes: { width: '100', alt: name(rng) } } : {}) } : { insert: phrase(rng, 4), ...marks(rng) })
  }
  return [...ops, { insert: '\n', ...lineFormat(rng) }]
}

const change = (rng, quill) => {
  const length = quill.getLength()
  const at = rng.int(0, length - 1)
  switch (rng.int(0, 3)) {
    case 0:
      quill.insertText(at, rng.chance(0.3) ? '\n' : phrase(rng, 3), 'user')
      break
    case 1:
      quill.deleteText(at, rng.int(0, Math.min(30, length - at)), 'user')
      break
    case 2:
      quill.formatText(at, rng.int(0, 10), rng.pick(['bold', 'italic']), rng.chance(0.7), 'user')
      break
    default:
      quill.updateContents([...(at > 0 ? [{ retain: at }] : []), ...line(rng)], 'user')
  }
}

export const quill = (rng) => {
  const root = rng.pick(['text', 'quill', 'notes'])
  const docs = [newDoc(rng), newDoc(rng)]
  const clients = docs.map((doc) => open(doc, root))
  clients[0].quill.setContents(Array.from({ length: rng.int(1, 6) }, () => line(rng)).flat(), 'user')
  merge(...docs)
  for (let round = rng.int(0, 3); round > 0; round--) {
    for (const { quill } of clients) for (let i = rng.int(0, 4); i > 0; i--) change(rng, quill)
    merge(...docs)
  }
  for (const { binding } of clients) binding.destroy()
  // What an editor shows that opens the document now: in y-quill, two who edit the same
  // pair of surrogates see other halves than the document has.
  const copy = copyOf(docs[0])
  const { quill, binding } = open(copy, root)
  binding.destroy()
  const ops = docs[0].getText(root).toDelta()
  const rich = ops.some((op) => op.attributes || typeof op.insert !== 'string') || (ops.at(-1)?.insert ?? '').endsWith('\n')
  return {
    root,
    detected: rich && root !== 'notes',
    doc: docs[0],
    separator: '\n',
    text: quill.getText(),
    json: { ops }
  }
}
