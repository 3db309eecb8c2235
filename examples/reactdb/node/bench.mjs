// How long a window waits until a change of one row is on the disk: beside conf, which is
// what electron-store is, and which writes all of its file each time.

import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import Conf from 'conf'
import { createCollection, localStorageCollectionOptions } from '@tanstack/react-db'
import { Bridge } from './bridge.mjs'

const writes = 31

/** The views of many pages, in a storage. */
const open = async (id, storage, storageEventApi, pages) => {
  const rows = createCollection(localStorageCollectionOptions({
    id, storageKey: 'pagesView', storage, storageEventApi, getKey: row => `${row.spaceId}/${row.pageId}`, startSync: true
  }))
  await rows.preload()
  const missing = Array.from({ length: pages }, (_, i) => ({ spaceId: 'space', pageId: `page-${i}`, order: i, expanded: false }))
  await rows.insert(missing.slice(rows.size)).isPersisted.promise
  return rows
}

/** Milliseconds for a change of a row, until it is saved: the median. */
const time = async (rows, pages, saved) => {
  await saved()
  const all = []
  for (let i = 0; i < writes; i++) {
    const start = performance.now()
    rows.update(`space/page-${i * 7919 % pages}`, row => { row.expanded = !row.expanded })
    await saved()
    all.push(performance.now() - start)
  }
  return all.sort((a, b) => a - b)[writes >> 1]
}

const withSoma = async (server, pages) => {
  const bridge = new Bridge(randomUUID(), server)
  const storage = await bridge.storage('pagesView')
  const ms = await time(await open(`soma ${pages}`, storage, storage, pages), pages, () => storage.saved())
  await bridge.close()
  return ms
}

const silent = { addEventListener () {}, removeEventListener () {} }

// Without the way from a window to the main process, which conf would need too.
const withConf = (dir, pages) => {
  const conf = new Conf({ cwd: dir, configName: `conf-${pages}`, projectName: 'soma' })
  const storage = {
    getItem: key => conf.get(`reactDb.${key}`) ?? null,
    setItem: (key, value) => conf.set(`reactDb.${key}`, value),
    removeItem: key => conf.delete(`reactDb.${key}`)
  }
  return open(`conf ${pages}`, storage, silent, pages).then(rows => time(rows, pages, () => {}))
}

/** What @tanstack/db takes itself. */
const withoutDisk = pages => {
  const all = new Map()
  const storage = { getItem: key => all.get(key) ?? null, setItem: (key, value) => all.set(key, value), removeItem: key => all.delete(key) }
  return open(`memory ${pages}`, storage, silent, pages).then(rows => time(rows, pages, () => {}))
}

/** Prints what Soma and conf take. */
export const measure = async (server, dir) => {
  for (const pages of [50, 500, 5000]) {
    const ms = [await withSoma(server, pages), await withConf(join(dir, 'conf'), pages), await withoutDisk(pages)]
    const [soma, conf, memory] = ms.map(ms => ms.toFixed(1).padStart(5))
    console.log(`ms per write, of ${String(pages).padStart(4)} rows: Soma ${soma}, conf ${conf}, without a disk ${memory}`)
  }
}
