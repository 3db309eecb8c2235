// Random ProseMirror documents of any schema, and random changes of them.

import { Fragment } from 'prosemirror-model'
import { phrase, code, name, url } from './words.mjs'

const attrsOf = {
  heading: (rng) => ({ level: rng.int(1, 3) }),
  mention: (rng) => ({ id: `u${rng.int(1, 99)}`, label: rng.chance(0.8) ? name(rng) : null, mentionSuggestionChar: rng.pick(['@', '#']) }),
  image: (rng) => ({ src: url(rng), alt: rng.chance(0.5) ? name(rng) : null }),
  taskItem: (rng) => ({ checked: rng.chance(0.5) }),
  orderedList: (rng) => ({ start: rng.int(1, 3) }),
  ordered_list: (rng) => ({ order: rng.int(1, 3) }),
  codeBlock: (rng) => ({ language: rng.chance(0.5) ? 'go' : null }),
  code_block: (rng) => ({ params: 'go' }),
  link: (rng) => ({ href: url(rng) }),
  comment: (rng) => ({ id: rng.int(1, 3) })
}

const attrsFor = (rng, type) => {
  const made = attrsOf[type.name]?.(rng) ?? {}
  const known = type.spec.attrs ?? {}
  return Object.fromEntries(Object.entries(made).filter(([key]) => key in known))
}

const marksFor = (rng, schema, type) => {
  let marks = []
  for (const mark of Object.values(schema.marks)) {
    if (!type.allowsMarkType(mark) || mark.name === 'ychange' || !rng.chance(0.12)) continue
    marks = mark.create(attrsFor(rng, mark)).addToSet(marks)
  }
  return marks
}

const MAX_DEPTH = 7

/** Makes a node of a type, with content that its schema allows. */
export const randomNode = (rng, type, depth = 0) => {
  const { schema } = type
  const attrs = attrsFor(rng, type)
  if (type.isLeaf) return type.create(attrs)
  if (depth >= MAX_DEPTH) return type.createAndFill(attrs)
  const children = []
  let match = type.contentMatch
  const most = depth === 0 ? rng.int(1, 8) : rng.int(0, 3)
  while (match.edgeCount > 0 && (children.length < most || !match.validEnd)) {
    if (children.length > 30) return type.createAndFill(attrs)
    const edges = []
    for (let i = 0; i < match.edgeCount; i++) {
      const { type: next, next: after } = match.edge(i)
      if (next.spec.generated === false) continue
      edges.push([next.isText ? 6 : next.isTextblock ? 3 : 1, { next, after }])
    }
    if (edges.length === 0) break
    const { next, after } = rng.weighted(edges)
    if (next.isText) {
      const text = type.spec.code ? code(rng) : phrase(rng)
      if (text !== '') children.push(schema.text(text, marksFor(rng, schema, type)))
    } else {
      const child = randomNode(rng, next, depth + 1)
      if (child === null) return type.createAndFill(attrs)
      children.push(child)
    }
    match = after
  }
  return type.createChecked(attrs, Fragment.from(children))
}

/** Changes one node somewhere below node: its text, its order, its presence. */
export const changed = (rng, node, depth = 0) => {
  if (node.isText) {
    const cut = rng.int(0, node.text.length - 1)
    const text = rng.pick([
      node.text.slice(0, cut) + phrase(rng, 2) + node.text.slice(cut),
      node.text.slice(cut) || phrase(rng, 1)
    ])
    return rng.chance(0.2) ? node.mark(marksFor(rng, node.type.schema, node.type.schema.nodes.paragraph)) : node.type.schema.text(text, node.marks)
  }
  if (node.isLeaf) return node
  const children = []
  node.forEach((child) => children.push(child))
  const at = children.length > 0 ? rng.int(0, children.length - 1) : 0
  const whole = depth === 0 && children.length > 1
  if (children.length > 0 && !rng.chance(whole ? 0.4 : 0.2)) {
    children[at] = changed(rng, children[at], depth + 1)
  } else {
    switch (rng.int(0, 3)) {
      case 0:
        children.splice(at, 1)
        break
      case 1: {
        const [moved] = children.splice(at, 1)
        if (moved) children.splice(rng.int(0, children.length), 0, moved)
        break
      }
      case 2: {
        const other = randomNode(rng, node.type, depth)
        other?.forEach((child) => { if (rng.chance(0.5)) children.splice(at, 0, child) })
        break
      }
      default: { // one block becomes another
        const child = children[at]
        if (child?.isTextblock) {
          const types = Object.values(node.type.schema.nodes).filter((t) => t.isTextblock && t.spec.generated !== false)
          const type = rng.pick(types)
          if (type.validContent(child.content)) children[at] = type.create(attrsFor(rng, type), child.content)
        }
      }
    }
  }
  const content = Fragment.from(children)
  return node.type.validContent(content) ? node.copy(content) : node
}
