// What a page is made of: the schema of ProseMirror's own examples, with lists, and images
// and links that lead to blobs.
import { Schema } from 'prosemirror-model'
import { nodes, marks } from 'prosemirror-schema-basic'
import { bulletList, listItem, orderedList } from 'prosemirror-schema-list'
import { localURL } from './api.js'

const list = { group: 'block', content: 'list_item+' }

// Others choose where links lead.
const safe = (href) => localURL(href) ?? (/^(https?:|mailto:)/i.test(href) ? href : undefined)

export const schema = new Schema({
  nodes: {
    ...nodes,
    bullet_list: { ...bulletList, ...list },
    ordered_list: { ...orderedList, ...list },
    list_item: { ...listItem, content: 'paragraph block*' },
    image: {
      ...nodes.image,
      toDOM: ({ attrs: { src, alt, title } }) => ['img', { src: localURL(src) ?? '', alt: alt ?? '', title, 'data-src': src }],
      parseDOM: [{ tag: 'img[data-src]', getAttrs: (dom) => ({ src: dom.dataset.src, alt: dom.alt, title: dom.title || null }) }],
    },
  },
  marks: {
    ...marks,
    link: {
      ...marks.link,
      toDOM: ({ attrs: { href, title } }) => ['a', { href: safe(href), title, 'data-href': href, target: '_blank', rel: 'noopener noreferrer' }, 0],
      parseDOM: [{ tag: 'a[href]', getAttrs: (dom) => ({ href: dom.dataset.href ?? dom.getAttribute('href'), title: dom.title || null }) }],
    },
  },
})
