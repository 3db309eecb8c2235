// Documents of BlockNote's editor with its collaboration.

import './dom.mjs'
import { BlockNoteEditor, BlockNoteSchema, createInlineContentSpec, defaultInlineContentSpecs } from '@blocknote/core'
import { yXmlFragmentToBlocks } from '@blocknote/core/yjs'
import { yXmlFragmentToProseMirrorRootNode } from 'y-prosemirror'
import { code, name, url, phrase } from './words.mjs'
import { copyOf, merge, newDoc } from './clients.mjs'

const mention = createInlineContentSpec(
  { type: 'mention', propSchema: { user: { default: 'Unknown' } }, content: 'none' },
  { render: (content) => ({ dom: Object.assign(document.createElement('span'), { textContent: `@${content.props.user}` }) }) }
)

const schemas = {
  default: BlockNoteSchema.create(),
  mentions: BlockNoteSchema.create({ inlineContentSpecs: { ...defaultInlineContentSpecs, mention } })
}

const open = (doc, root, variant) => {
  const editor = BlockNoteEditor.create({
    schema: schemas[variant],
    collaboration: { fragment: doc.getXmlFragment(root), user: { name: 'a', color: '#fff' }, provider: {} }
  })
  editor.mount(document.createElement('div'))
  return editor
}

const styled = (rng) => {
  const styles = {}
  for (const style of ['bold', 'italic', 'underline', 'strike']) if (rng.chance(0.1)) styles[style] = true
  if (rng.chance(0.05)) styles.code = true
  if (rng.chance(0.1)) styles.textColor = rng.pick(['red', 'blue'])
  if (rng.chance(0.1)) styles.backgroundColor = 'yellow'
  return { type: 'text', text: rng.chance(0.15) ? `${phrase(rng, 2)}\n${phrase(rng, 2)}` : phrase(rng, 4), styles }
}

const inline = (rng, variant) => {
  const content = []
  for (let i = rng.int(0, 3); i > 0; i--) {
    content.push(rng.weighted([
      [6, () => styled(rng)],
      [2, () => ({ type: 'link', href: url(rng), content: Array.from({ length: rng.int(1, 2) }, () => styled(rng)) })],
      [variant === 'mentions' ? 2 : 0, () => ({ type: 'mention', props: { user: name(rng) } })]
    ])())
  }
  return content
}

const props = (rng) => (rng.chance(0.2) ? { textColor: 'red', textAlignment: rng.pick(['left', 'center']) } : {})

const block = (rng, variant, depth = 0) => {
  const id = rng.uint32().toString(16)
  const children = []
  if (depth < 3) while (rng.chance(0.2)) children.push(block(rng, variant, depth + 1))
  const text = (type, more) => ({ id, type, props: { ...props(rng), ...more }, content: inline(rng, variant), children })
  return rng.weighted([
    [8, () => text('paragraph')],
    [2, () => text('heading', { level: rng.int(1, 3) })],
    [2, () => text('bulletListItem')],
    [2, () => text('numberedListItem')],
    [2, () => text('checkListItem', { checked: rng.chance(0.5) })],
    [1, () => text('toggleListItem')],
    [1, () => ({ id, type: 'quote', content: inline(rng, variant), children })],
    [1, () => ({ id, type: 'codeBlock', props: { language: 'go' }, content: rng.chance(0.2) ? '' : code(rng) })],
    [1, () => ({ id, type: rng.pick(['image', 'video', 'audio', 'file']), props: { url: url(rng), name: name(rng), caption: rng.pick(['', name(rng)]) } })],
    [1, () => ({ id, type: 'divider' })],
    [1, () => {
      const columns = rng.int(1, 3)
      const rows = Array.from({ length: rng.int(1, 3) }, () => ({ cells: Array.from({ length: columns }, () => inline(rng, variant)) }))
      const headers = rng.chance(0.3) ? { headerRows: 1 } : {}
      return { id, type: 'table', content: { type: 'tableContent', ...headers, rows } }
    }]
  ])()
}

const all = (blocks) => blocks.flatMap((b) => [b, ...all(b.children)])

const change = (rng, editor, variant) => {
  const blocks = all(editor.document)
  const at = rng.pick(blocks)
  switch (rng.int(0, 3)) {
    case 0:
      editor.insertBlocks([block(rng, variant), block(rng, variant, 2)], at, rng.pick(['before', 'after']))
      break
    case 1:
      if (blocks.length > 1) editor.removeBlocks([at])
      break
    case 2:
      if (['paragraph', 'heading', 'quote'].includes(at.type)) editor.updateBlock(at, { content: inline(rng, variant) })
      break
    default:
      if (at.type === 'paragraph') editor.updateBlock(at, { type: rng.pick(['heading', 'bulletListItem', 'quote']) })
  }
}

const leafText = (node) => ({ hardBreak: '\n', mention: `@${node.attrs.user}` })[node.type.name] ?? ''

export const blocknote = (rng) => {
  const variant = rng.pick(Object.keys(schemas))
  const root = rng.pick(['document-store', 'blocknote'])
  const docs = [newDoc(rng), newDoc(rng)]
  const editors = docs.map((doc) => open(doc, root, variant))
  try {
    editors[0].replaceBlocks(editors[0].document, Array.from({ length: rng.int(1, 6) }, () => block(rng, variant)))
    merge(...docs)
    for (let round = rng.int(0, 3); round > 0; round--) {
      for (const editor of editors) for (let i = rng.int(0, 3); i > 0; i--) change(rng, editor, variant)
      merge(...docs)
    }
    merge(...docs)
    // As the document is read, not as this editor has it: what an editor adds to what
    // comes from others, such as an empty last block, is not in the document yet.
    const copy = copyOf(docs[0])
    const node = yXmlFragmentToProseMirrorRootNode(copy.getXmlFragment(root), editors[0].pmSchema)
    return {
      variant,
      root,
      detected: true,
      doc: docs[0],
      separator: '\n',
      text: node.textBetween(0, node.content.size, '\n', leafText),
      json: yXmlFragmentToBlocks(editors[0], copy.getXmlFragment(root))
    }
  } finally {
    for (const editor of editors) editor._tiptapEditor.destroy()
  }
}
