// What a bridge does when Go answers in an order that it seldom answers in.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import test from 'node:test'
import { Bridge } from './bridge.mjs'

/** Plays Go, whose answers to each path the test gives. */
const openServer = async (t) => {
  const asked = new Map()
  const at = path => {
    if (!asked.has(path)) asked.set(path, { requests: [], waiting: [] })
    return asked.get(path)
  }
  const server = createServer(({ url }, response) => {
    const { requests, waiting } = at(url)
    if (waiting.length) waiting.shift()(response)
    else requests.push(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => { server.closeAllConnections(); server.close() })
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** The next request for a path, to be answered. */
    asked: path => new Promise(resolve => {
      const { requests, waiting } = at(path)
      if (requests.length) resolve(requests.shift())
      else waiting.push(resolve)
    })
  }
}

const answer = (response, value, seq) => response.writeHead(200, { 'Soma-Seq': seq }).end(value)

test('a window sees what is written between its first look and its first change', { timeout: 10_000 }, async t => {
  const server = await openServer(t)
  const bridge = new Bridge('window', { url: server.url, token: '' })
  t.after(() => bridge.close())
  const opening = bridge.storage('tabs')
  const first = await server.asked('/collections/tabs')
  // Another window writes now, and only then this one's changes begin.
  const changes = await server.asked('/changes')
  changes.writeHead(200).flushHeaders()
  await new Promise(resolve => setTimeout(resolve, 50)) // the window has seen that they do
  answer(first, '{}', 0)
  const storage = await opening
  answer(await server.asked('/collections/tabs'), '{"s:a":{}}', 1)
  await storage.idle()
  assert.equal(storage.getItem('tabs'), '{"s:a":{}}')
})
