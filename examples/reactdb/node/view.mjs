// What a window shows, live. Without a bundler there is no JSX, and without a screen
// react-test-renderer mounts what react-dom would in an app.

import { createElement as h } from 'react'
import { useLiveQuery } from '@tanstack/react-db'

const useRows = (collection, orderBy) => useLiveQuery(q => q.from({ row: collection }).orderBy(({ row }) => orderBy(row))).data

const Tabs = ({ tabs, routing }) => {
  const [active] = useRows(routing, route => route.id)
  return h('nav', null, useRows(tabs, tab => tab.id).map(({ id, title }) =>
    h('a', { key: id, className: id === active?.activeTabId ? 'active' : undefined }, title)))
}

const Sidebar = ({ spacesView, pagesView }) => h('ul', null,
  useRows(spacesView, view => view.spaceId).map(({ spaceId, pinned, order }) =>
    h('li', { key: spaceId }, `${pinned ? 'pinned' : 'not pinned'}, at ${order}`)),
  useRows(pagesView, view => view.pageId).map(({ pageId, expanded }) =>
    h('li', { key: pageId }, `${expanded ? '▾' : '▸'} ${pageId}`)))

const Uploads = ({ uploadJobs }) => useRows(uploadJobs, job => job.id).map(({ id, name, state, renderer }) =>
  h('p', { key: id }, `${name}: ${state}, seen ${renderer?.seen ?? 0} times`))

const Drafts = ({ draftMailbox }) => useRows(draftMailbox, draft => draft.documentId).map(({ documentId, snippet }) =>
  h('blockquote', { key: documentId }, snippet))

export const App = (collections) => {
  const [theme] = useRows(collections.uiPreferences, preference => preference.id)
  return h('main', { className: theme?.value },
    [Tabs, Sidebar, Uploads, Drafts].map(part => h(part, { key: part.name, ...collections })))
}
