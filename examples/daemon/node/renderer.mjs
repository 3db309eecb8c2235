// The store of an Electron app's renderer. It sees the daemon through what its main process
// offers: invoke(method, request) for calls, and the domain events, which it is told of.

import { configureStore } from '@reduxjs/toolkit'
import { createApi } from '@reduxjs/toolkit/query'

const document = ({ spaceId, documentId }) => `${spaceId}/${documentId}`

export function openStore (invoke) {
  const api = createApi({
    tagTypes: ['Spaces', 'Space', 'Pages', 'Document', 'Draft'],
    baseQuery: async ({ method, request }) => {
      try {
        return { data: await invoke(method, request) }
      } catch (error) {
        return { error: { code: error.code, message: error.details } }
      }
    },
    endpoints: build => ({
      spaces: build.query({ query: () => ({ method: 'listSpaces' }), providesTags: ['Spaces'] }),
      space: build.query({
        query: spaceId => ({ method: 'getSpace', request: { spaceId } }),
        providesTags: (_, __, id) => [{ type: 'Space', id }]
      }),
      pages: build.query({
        query: spaceId => ({ method: 'listPages', request: { spaceId } }),
        providesTags: (_, __, id) => [{ type: 'Pages', id }]
      }),
      document: build.query({
        query: request => ({ method: 'getDocument', request }),
        providesTags: (_, __, request) => [{ type: 'Document', id: document(request) }]
      }),
      draft: build.query({
        query: request => ({ method: 'getDraft', request }),
        providesTags: (_, __, request) => [{ type: 'Draft', id: document(request) }]
      })
    })
  })
  const store = configureStore({
    reducer: { [api.reducerPath]: api.reducer },
    middleware: defaults => defaults({ serializableCheck: false, immutableCheck: false }).concat(api.middleware)
  })

  // What this app did itself its mutations have told already.
  const tell = event => {
    if (event.source === 'daemon') store.dispatch(api.util.invalidateTags(tags(event)))
  }
  return { api, store, tell }
}

// tags says what to read again after an event.
export function tags (event) {
  if (event.reason === 'widened') return ['Spaces', 'Space', 'Pages', 'Document', 'Draft']
  switch (event.kind) {
    case 'spaces-changed': return ['Spaces']
    case 'space-changed': return [{ type: 'Space', id: event.spaceId }]
    case 'pages-changed': return [{ type: 'Pages', id: event.spaceId }]
    case 'document-changed': return ['Document', 'Draft'].map(type => ({ type, id: document(event) }))
  }
  throw new Error(`unknown event ${event.kind}`)
}
