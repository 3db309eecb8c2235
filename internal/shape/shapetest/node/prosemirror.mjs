// Documents of y-prosemirror, under several schemas.

import { Schema } from 'prosemirror-model'
import { schema as basic } from 'prosemirror-schema-basic'
import { addListNodes } from 'prosemirror-schema-list'
import { schema as markdown } from 'prosemirror-markdown'
import { tableNodes } from 'prosemirror-tables'
import { prosemirrorToYXmlFragment, yDocToProsemirrorJSON, initProseMirrorDoc, updateYFragment } from 'y-prosemirror'
import { changed, randomNode } from './pmdoc.mjs'
import { newDoc, merge } from './clients.mjs'

const lists = addListNodes(basic.spec.nodes, 'paragraph block*', 'block')

const schemas = {
  basic,
  lists: new Schema({ nodes: lists, marks: basic.spec.marks }),
  markdown,
  tables: new Schema({
    nodes: lists.append(tableNodes({ tableGroup: 'block', cellContent: 'block+', cellAttributes: {} })),
    marks: basic.spec.marks
  }),
  // A title before the page, mentions with a text of their own, marks that overlap.
  page: new Schema({
    nodes: {
      doc: { content: 'title block+' },
      title: { content: 'text*' },
      paragraph: { content: 'inline*', group: 'block' },
      heading: { content: 'inline*', group: 'block', attrs: { level: { default: 1 } } },
      callout: { content: 'block+', group: 'block', attrs: { kind: { default: 'note' } } },
      embed: { group: 'block', attrs: { src: { default: 'a' } } },
      mention: {
        inline: true,
        group: 'inline',
        attrs: { id: {}, label: { default: null } },
        leafText: (node) => `@${node.attrs.label ?? node.attrs.id}`
      },
      hard_break: { inline: true, group: 'inline', leafText: () => '\n' },
      image: { inline: true, group: 'inline', attrs: { src: {}, alt: { default: null } } },
      text: { group: 'inline' }
    },
    marks: {
      strong: {},
      em: {},
      link: { attrs: { href: {} } },
      comment: { attrs: { id: {} }, excludes: '' }
    }
  })
}

// prosemirror-schema-basic and prosemirror-markdown say no text of a hard break.
const leafText = (node) => node.type.spec.leafText?.(node) ?? (node.type.name === 'hard_break' ? '\n' : '')

const meta = () => ({ mapping: new Map(), isOMark: new Map() })

export const prosemirror = (rng) => {
  const variant = rng.pick(Object.keys(schemas))
  const schema = schemas[variant]
  const root = rng.pick(['prosemirror', 'prosemirror', 'content-of-page'])
  const a = newDoc(rng)
  prosemirrorToYXmlFragment(randomNode(rng, schema.topNodeType), a.getXmlFragment(root))
  const b = newDoc(rng)
  merge(a, b)
  for (let round = rng.int(0, 3); round > 0; round--) {
    for (const doc of [a, b]) {
      for (let i = rng.int(0, 3); i > 0; i--) {
        const fragment = doc.getXmlFragment(root)
        updateYFragment(doc, fragment, changed(rng, initProseMirrorDoc(fragment, schema).doc), meta())
      }
    }
    merge(a, b)
  }
  // The editor deletes what its schema does not allow when it loads the document.
  let node = initProseMirrorDoc(a.getXmlFragment(root), schema).doc
  for (let left = 10, before = ''; JSON.stringify(node) !== before && left > 0; left--) {
    before = JSON.stringify(node)
    node = initProseMirrorDoc(a.getXmlFragment(root), schema).doc
  }
  return {
    variant,
    root,
    detected: root === 'prosemirror' || undefined,
    doc: a,
    separator: '\n',
    text: node.textBetween(0, node.content.size, '\n', leafText),
    json: yDocToProsemirrorJSON(a, root),
    editorJSON: node.toJSON()
  }
}
