// A window: a process of its own, as a renderer is, which host.mjs forks with its name.

import { randomUUID } from 'node:crypto'
import { createElement } from 'react'
import { create } from 'react-test-renderer'
import { Bridge } from './bridge.mjs'
import { keys, openCollections } from './collections.mjs'
import { App } from './view.mjs'

const [name] = process.argv.slice(2)
const tell = message => new Promise(resolve => process.send(message, resolve))

const first = await new Promise(resolve => process.once('message', resolve))
const bridge = new Bridge(randomUUID(), first.server)
const { space: spaceId } = first.server
const collections = await openCollections(bridge)
const screen = create(createElement(App, collections))

/** Writes a row that no other window writes, and says what it tries, and when it is stored. */
const write = async (collection, key, value, change) => {
  await tell({ tried: value, collection, key })
  change()
  await bridge.storages.get(collection).saved()
  await tell({ acknowledged: value, collection, key })
}

const put = (collection, row) => {
  const rows = collections[collection]
  const key = keys[collection](row)
  if (rows.has(key)) rows.update(key, old => { Object.assign(old, row) })
  else rows.insert(row)
}

const own = (collection, row) => write(collection, keys[collection](row), row, () => put(collection, row))

/** What a user does, in turn. The last two are rows that both windows write. */
const steps = [
  step => own('tabs', { id: `${name}-${step}`, title: `Tab ${step} of ${name}`, path: '/', order: step }),
  step => own('pagesView', { spaceId, pageId: `page-${name}`, order: step, expanded: step % 4 === 1 }),
  step => own('draftMailbox', { spaceId, documentId: `page-${name}`, snippet: `typed in ${name}: ${step}`, updatedAtMs: later() }),
  step => {
    const job = collections.uploadJobs.toArray.find(job => job.name === `${name}.txt`)
    const renderer = { seen: step } // the rest of a job is Go's
    return write('uploadJobs', job.id, renderer, () => put('uploadJobs', { ...plain(job), renderer }))
  },
  step => own('tabs', { ...tabs().at(-1), title: `Tab of ${name}, renamed at ${step}` }),
  async () => {
    if (tabs().length < 6) return
    const { id } = tabs()[0]
    await bridge.storages.get('tabs').idle() // what a window deletes, it should have seen
    await write('tabs', id, null, () => collections.tabs.delete(id))
  },
  step => {
    put('routing', { id: 'active', spaceId, activeTabId: tabs().at(-1)?.id ?? '' })
    put('uiPreferences', { id: 'theme', value: step % 2 ? 'dark' : 'light' })
    return bridge.storages.get('uiPreferences').saved()
  },
  step => {
    put('spacesView', { spaceId, pinned: true, order: step })
    return bridge.storages.get('spacesView').saved()
  }
]

/** The tabs that this window has opened. */
const tabs = () => collections.tabs.toArray.filter(({ id }) => id.startsWith(`${name}-`)).map(plain).sort((a, b) => a.order - b.order)

/** A row without what the collection adds to it for its readers. */
const plain = row => Object.fromEntries(Object.entries(row).filter(([field]) => !field.startsWith('$')))

/** A time that is later than all before, since of two drafts of one time either may win. */
const later = () => (lastMs = Math.max(Date.now(), lastMs + 1))
let lastMs = 0

let working = false
let work

const actions = {
  work ({ from }) {
    working = true
    work = (async () => {
      for (let step = from; working; step++) await steps[step % steps.length](step)
    })()
  },

  /** Resolves when all is saved. */
  async stop () {
    working = false
    await work
    await Promise.all([...bridge.storages.values()].map(storage => storage.saved()))
  },

  /** Says what is on the screen, and in the collections. */
  show () {
    const rows = Object.entries(collections).map(([name, { toArray }]) => [name, Object.fromEntries(toArray.map(row => [keys[name](row), plain(row)]))])
    return { screen: JSON.stringify(screen.toJSON(), null, 1), rows: Object.fromEntries(rows) }
  },

  /** Tries to write a row, and says why it may not. */
  async refused ({ collection, row }) {
    const storage = bridge.storages.get(collection)
    const before = collections[collection].size
    put(collection, row)
    const reason = await storage.saved().then(() => 'it was stored', error => error.message)
    await storage.idle()
    return { reason, gone: collections[collection].size === before }
  }
}

process.on('message', async ({ server, id, action, args }) => {
  if (server) bridge.server = server
  else await tell({ id, result: await actions[action](args) })
})
process.on('disconnect', () => process.exit()) // no window outlives its host
await tell({ opened: true })
