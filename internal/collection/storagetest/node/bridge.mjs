// The Go side, over stdin and stdout: a line of JSON for each call, answer and change.

import { createInterface } from 'node:readline'

const calls = new Map()
const watchers = new Map()
let last = 0

const print = (message) => process.stdout.write(JSON.stringify(message) + '\n')

createInterface({ input: process.stdin }).on('line', line => {
  const message = JSON.parse(line)
  if (message.changed !== undefined) {
    for (const watcher of watchers.get(message.changed) ?? []) watcher(message.seq)
    return
  }
  const { resolve, reject } = calls.get(message.id)
  calls.delete(message.id)
  if (message.error) reject(new Error(message.error))
  else resolve(message)
})

export const call = (op, args) => new Promise((resolve, reject) => {
  const id = ++last
  calls.set(id, { resolve, reject })
  print({ id, op, ...args })
})

/** Calls fn with the seq of each change of a collection. */
export const watch = (collection, fn) => {
  const fns = watchers.get(collection) ?? new Set()
  watchers.set(collection, fns.add(fn))
  return () => fns.delete(fn)
}

export const close = () => process.stdin.destroy()
