// Documents of TipTap's editor with its Collaboration extension.

import './dom.mjs'
import { Editor } from '@tiptap/core'
import StarterKit from '@tiptap/starter-kit'
import Collaboration from '@tiptap/extension-collaboration'
import Image from '@tiptap/extension-image'
import Mention from '@tiptap/extension-mention'
import { TaskItem, TaskList } from '@tiptap/extension-list'
import { TableKit } from '@tiptap/extension-table'
import { yXmlFragmentToProsemirrorJSON } from '@tiptap/y-tiptap'
import { changed, randomNode } from './pmdoc.mjs'
import { copyOf, merge, newDoc } from './clients.mjs'

const mention = Mention.configure({ suggestions: [{ char: '@' }, { char: '#' }] })

const variants = {
  starter: [],
  tasks: [TaskList, TaskItem.configure({ nested: true }), mention],
  tables: [TableKit, Image],
  inline: [Image.configure({ inline: true }), mention, TaskList, TaskItem]
}

const open = (doc, field, variant) => new Editor({
  element: document.createElement('div'),
  extensions: [
    StarterKit.configure({ undoRedo: false, trailingNode: false }),
    ...variants[variant],
    Collaboration.configure({ document: doc, field })
  ]
})

const replace = (editor, node) => editor.commands.setContent(node.toJSON(), { emitUpdate: false })

export const tiptap = async (rng) => {
  const variant = rng.pick(Object.keys(variants))
  const root = rng.pick(['default', 'default', 'body'])
  const docs = [newDoc(rng), newDoc(rng)]
  const editors = docs.map((doc) => open(doc, root, variant))
  try {
    replace(editors[0], randomNode(rng, editors[0].schema.topNodeType))
    merge(...docs)
    for (let round = rng.int(0, 3); round > 0; round--) {
      for (const editor of editors) {
        for (let i = rng.int(0, 3); i > 0; i--) replace(editor, changed(rng, editor.state.doc))
      }
      merge(...docs)
    }
    merge(...docs)
    // What an editor shows that opens the document now.
    const doc = copyOf(docs[0])
    const editor = open(doc, root, variant)
    editors.push(editor)
    const fragment = doc.getXmlFragment(root)
    return {
      variant,
      root,
      detected: root === 'default' || undefined,
      doc,
      separator: '\n\n',
      text: editor.getText(),
      json: yXmlFragmentToProsemirrorJSON(fragment),
      // In an empty document an editor shows a paragraph.
      editorJSON: fragment.length > 0 ? editor.getJSON() : undefined
    }
  } finally {
    for (const editor of editors) editor.destroy()
  }
}
