// The bridge over HTTP, as bridge.go serves it. In Electron this is for the main process, if
// pages shall not have the token: their three calls, and the changes, come over IPC then.

import { WindowStorage } from './storage.mjs'

const shortest = 20 // ms before a call is made again
const longest = 500

export class Bridge {
  /**
   * @param {string} window names this window: a new name each time that it is loaded
   * @param {{url: string, token: string}} server
   */
  constructor (window, server) {
    this.window = window
    this.server = server // may be set anew at any time
    this.storages = new Map()
    this.closed = new AbortController()
    this.following = this.follow()
  }

  /** Opens the storage of a collection, for localStorageCollectionOptions. */
  async storage (name) {
    const query = base => `?${new URLSearchParams({ base, window: this.window })}`
    const path = `/collections/${name}`
    const bridge = {
      snapshot: async () => {
        const { text, headers } = await this.call('GET', path)
        return { value: text, seq: Number(headers.get('Soma-Seq')) }
      },
      setItem: async (value, base) => JSON.parse((await this.call('PUT', path + query(base), value)).text),
      removeItem: async base => JSON.parse((await this.call('DELETE', path + query(base))).text)
    }
    const storage = new WindowStorage(name, bridge, await bridge.snapshot())
    this.storages.set(name, storage)
    storage.missed() // what changed after its snapshot, before it was here to be told
    return storage
  }

  /** Calls until there is an answer. Rejects with what Go refuses. */
  async call (method, path, body) {
    for (let wait = shortest; ; wait = Math.min(2 * wait, longest)) {
      const answer = await this.attempt(method, path, body)
      if (answer?.status === 200) return answer
      if (answer?.status === 422) throw new Error(answer.text.trim())
      this.closed.signal.throwIfAborted()
      await sleep(wait)
    }
  }

  async attempt (method, path, body) {
    try {
      const response = await this.request(method, path, body)
      return { status: response.status, headers: response.headers, text: await response.text() }
    } catch {
      // Go is gone, for now.
    }
  }

  request (method, path, body) {
    const { url, token } = this.server
    return fetch(url + path, { method, body, headers: { Authorization: `Bearer ${token}` }, signal: this.closed.signal })
  }

  /** Follows the changes of all collections, through restarts of Go. */
  async follow () {
    for (let wait = shortest; !this.closed.signal.aborted; wait = Math.min(2 * wait, longest)) {
      try {
        const response = await this.request('GET', '/changes')
        if (response.ok) {
          wait = shortest
          for (const storage of this.storages.values()) storage.missed()
          for await (const line of lines(response.body)) {
            const { collection, seq } = JSON.parse(line)
            this.storages.get(collection)?.changed(seq)
          }
        }
      } catch {
        // The same.
      }
      await sleep(wait)
    }
  }

  /** Ends all calls. What has no answer may be stored, or not. */
  async close () {
    this.closed.abort(new Error('the window was closed'))
    await this.following
  }
}

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function * lines (stream) {
  let rest = ''
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const all = (rest + text).split('\n')
    rest = all.pop()
    yield * all
  }
}
