// Writes what a host with electron-store has on its disk: conf, which is what electron-store
// is, as the storage of the real collections.
//
//   node electron.mjs DIR
//
// leaves path.json and flat.json in DIR, with and without dot notation.

import { createCollection, localStorageCollectionOptions } from '@tanstack/db'
import Conf from 'conf'

const [dir] = process.argv.slice(2)

const fill = async (storageKey, storage, rows) => {
  const collection = createCollection(localStorageCollectionOptions({
    id: `${storageKey} ${rows.length}`,
    storageKey,
    storage,
    storageEventApi: { addEventListener () {}, removeEventListener () {} },
    getKey: row => row.id,
    startSync: true
  }))
  await collection.preload()
  for (const row of rows) await collection.insert(row).isPersisted.promise
  await collection.cleanup()
}

const tabs = [
  { id: 'b', title: 'Zwölf "€" <b>', updatedAtMs: 1_600_000_000_000 },
  { id: 'a', title: 'no time' },
  { id: 'n:7', title: 'a string' }
]
const numbers = [{ id: 7, half: 0.5 }, { id: -0.25, half: 1 }]

for (const accessPropertiesByDotNotation of [true, false]) {
  const conf = new Conf({
    cwd: dir,
    configName: accessPropertiesByDotNotation ? 'path' : 'flat',
    projectName: 'soma',
    accessPropertiesByDotNotation
  })
  conf.set('windowBounds', { x: 1, y: 2 })
  const storage = {
    getItem: key => conf.get(`reactDb.${key}`) ?? null,
    setItem: (key, value) => conf.set(`reactDb.${key}`, value),
    removeItem: key => conf.delete(`reactDb.${key}`)
  }
  await fill('tabs', storage, tabs)
  await fill('numbers', storage, numbers)
  await fill('app.tabs', storage, tabs)
  if (accessPropertiesByDotNotation) {
    await fill('app\\.escaped', storage, tabs)
    // Some hosts keep the object instead of the string.
    conf.set('reactDb.object', JSON.parse(conf.get('reactDb.tabs')))
  }
}
