// The editor of a page: ProseMirror, bound to the Yjs document of a session.
import { baseKeymap, chainCommands, exitCode, lift, setBlockType, toggleMark, wrapIn } from 'prosemirror-commands'
import { inputRules, smartQuotes, ellipsis, textblockTypeInputRule, wrappingInputRule } from 'prosemirror-inputrules'
import { keymap } from 'prosemirror-keymap'
import { liftListItem, sinkListItem, splitListItem, wrapInList } from 'prosemirror-schema-list'
import { EditorState, Plugin } from 'prosemirror-state'
import { EditorView } from 'prosemirror-view'
import { redo, undo, yCursorPlugin, ySyncPlugin, yUndoPlugin } from 'y-prosemirror'
import { call, inSpace } from './api.js'
import { act, h } from './dom.js'
import { icon } from './icon.js'
import { schema } from './schema.js'

const { nodes, marks } = schema

// The commands, with the key and the button for each.
const commands = [
  ['B', 'Bold', 'Mod-b', toggleMark(marks.strong), (state) => hasMark(state, marks.strong)],
  ['I', 'Italic', 'Mod-i', toggleMark(marks.em), (state) => hasMark(state, marks.em)],
  ['‹›', 'Code', 'Mod-e', toggleMark(marks.code), (state) => hasMark(state, marks.code)],
  ['H1', 'Heading', 'Mod-Alt-1', toggleBlock(nodes.heading, { level: 1 }), (state) => isBlock(state, nodes.heading, 1)],
  ['H2', 'Smaller heading', 'Mod-Alt-2', toggleBlock(nodes.heading, { level: 2 }), (state) => isBlock(state, nodes.heading, 2)],
  ['•', 'Bullet list', 'Mod-Shift-8', toggleList(nodes.bullet_list), (state) => isIn(state, nodes.bullet_list)],
  ['1.', 'Numbered list', 'Mod-Shift-7', toggleList(nodes.ordered_list), (state) => isIn(state, nodes.ordered_list)],
  ['”', 'Quote', 'Mod-Shift-9', (state, dispatch) => (isIn(state, nodes.blockquote) ? lift : wrapIn(nodes.blockquote))(state, dispatch), (state) => isIn(state, nodes.blockquote)],
]

function hasMark({ storedMarks, selection, doc }, mark) {
  return selection.empty ? !!mark.isInSet(storedMarks ?? selection.$from.marks()) : doc.rangeHasMark(selection.from, selection.to, mark)
}

function isBlock({ selection: { $from } }, type, level) {
  return $from.parent.type === type && (!level || $from.parent.attrs.level === level)
}

function isIn({ selection: { $from } }, type) {
  return Array.from({ length: $from.depth + 1 }, (_, depth) => $from.node(depth).type).includes(type)
}

function toggleBlock(type, attrs) {
  return (state, dispatch) => (isBlock(state, type, attrs.level) ? setBlockType(nodes.paragraph) : setBlockType(type, attrs))(state, dispatch)
}

function toggleList(type) {
  return (state, dispatch) => (isIn(state, type) ? liftListItem(nodes.list_item) : wrapInList(type))(state, dispatch)
}

const hardBreak = chainCommands(exitCode, (state, dispatch) => {
  dispatch?.(state.tr.replaceSelectionWith(nodes.hard_break.create()).scrollIntoView())
  return true
})

const keys = {
  ...Object.fromEntries(commands.map(([, , key, command]) => [key, command])),
  'Mod-z': undo, 'Mod-y': redo, 'Mod-Shift-z': redo, 'Shift-Enter': hardBreak,
  Enter: splitListItem(nodes.list_item), Tab: sinkListItem(nodes.list_item), 'Shift-Tab': liftListItem(nodes.list_item),
}

const rules = inputRules({
  rules: [
    ...smartQuotes, ellipsis,
    textblockTypeInputRule(/^(#{1,3})\s$/, nodes.heading, ([, marker]) => ({ level: marker.length })),
    textblockTypeInputRule(/^```$/, nodes.code_block),
    wrappingInputRule(/^\s*([-+*])\s$/, nodes.bullet_list),
    wrappingInputRule(/^(\d+)\.\s$/, nodes.ordered_list, ([, number]) => ({ order: +number })),
    wrappingInputRule(/^\s*>\s$/, nodes.blockquote),
  ],
})

// The toolbar shows what the selection is, and changes it.
function toolbar(buttons) {
  return new Plugin({
    view: () => ({
      update({ state }) {
        for (const [i, [, , , , active]] of commands.entries()) buttons[i].setAttribute('aria-pressed', active(state))
      },
    }),
  })
}

const cursor = ({ name, color }) => {
  const label = h('span', { className: 'cursor-name' }, name)
  const element = h('span', { className: 'cursor' }, '\u2060', label, '\u2060')
  element.style.borderColor = label.style.backgroundColor = color
  return element
}

export class Editor {
  // Shows a session. May write says whether it can be edited now, and put stores a file.
  constructor(session, space, mayWrite) {
    this.space = space
    this.buttons = commands.map(([sign, name, key, command]) => h('button', {
      title: `${name} (${key.replace('Mod', 'Ctrl').replaceAll('-', '+')})`, 'aria-label': name, type: 'button',
      onmousedown: (event) => event.preventDefault(), // which would take the focus
      onclick: () => command(this.view.state, this.view.dispatch) && this.view.focus(),
    }, sign))
    const picker = h('input', { type: 'file', multiple: true, hidden: true, onchange: () => this.insert([...picker.files]) })
    this.toolbar = h('div', { className: 'toolbar', role: 'toolbar', 'aria-label': 'Format' }, this.buttons, picker,
      h('button', { title: 'Add files, or drop them on the page', 'aria-label': 'Add files', type: 'button', onclick: () => picker.click() }, icon('picture')))
    const fragment = session.doc.getXmlFragment('prosemirror')
    this.view = new EditorView(h('div', { className: 'prose' }), {
      state: EditorState.create({
        schema,
        plugins: [ySyncPlugin(fragment), yCursorPlugin(session.provider.awareness, { cursorBuilder: cursor }), yUndoPlugin(),
          rules, keymap(keys), keymap(baseKeymap), toolbar(this.buttons)],
      }),
      editable: mayWrite,
      attributes: () => ({ 'aria-label': 'Text of the page', role: 'textbox', 'aria-multiline': 'true', 'aria-readonly': `${!mayWrite()}` }),
      handleDrop: (view, event) => this.take(event.dataTransfer, view.posAtCoords({ left: event.clientX, top: event.clientY })?.pos),
      handlePaste: (_, event) => this.take(event.clipboardData),
    })
    this.mayWrite = mayWrite
    this.dom = this.view.dom.parentNode
  }

  // Looks again whether the page may be written.
  refresh() {
    this.view.setProps({})
    this.toolbar.hidden = !this.mayWrite()
  }

  take(data, at) {
    const files = [...(data?.files ?? [])]
    if (files.length === 0 || !this.mayWrite()) return false
    void this.insert(files, at)
    return true
  }

  insert = act(async (files, at) => {
    for (const file of files) {
      const url = await call('POST', `${inSpace(this.space, 'blobs')}?name=${encodeURIComponent(file.name)}`, file)
      const node = file.type.startsWith('image/')
        ? nodes.image.create({ src: url, alt: file.name })
        : schema.text(file.name, [marks.link.create({ href: url })])
      const { tr, selection } = this.view.state
      this.view.dispatch(tr.insert(Math.min(at ?? selection.from, tr.doc.content.size), node).scrollIntoView())
    }
  })

  close() {
    this.view.destroy()
  }
}
