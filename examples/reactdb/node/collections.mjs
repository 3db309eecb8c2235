// The collections of a window: real ones of @tanstack/db, kept by Soma.

import { createCollection, localStorageCollectionOptions } from '@tanstack/react-db'

/** The key of a row, as Go has it too. */
export const keys = {
  tabs: tab => tab.id,
  routing: route => route.id,
  uiPreferences: preference => preference.id,
  spacesView: view => view.spaceId,
  pagesView: view => `${view.spaceId}/${view.pageId}`,
  uploadJobs: job => job.id,
  draftMailbox: draft => `${draft.spaceId}/${draft.documentId}`
}

/** Opens all collections, which have their rows then. */
export const openCollections = async (bridge) => {
  const collections = {}
  await Promise.all(Object.entries(keys).map(async ([name, getKey]) => {
    const storage = await bridge.storage(name)
    collections[name] = createCollection(localStorageCollectionOptions({
      id: name, storageKey: name, storage, storageEventApi: storage, getKey, startSync: true
    }))
    await collections[name].preload()
  }))
  return collections
}
