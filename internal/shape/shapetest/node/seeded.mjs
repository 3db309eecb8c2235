// Makes the randomness of the editors, which give IDs to blocks, a function of a
// seed. To be imported before them, because some keep what they find at the start.

import { Prng } from '../../../yjs/yjstest/node/prng.mjs'

let rng = new Prng(0)

export const reseed = (seed) => { rng = new Prng(seed) }

const hex = (digits) => Array.from({ length: digits }, () => rng.int(0, 15).toString(16)).join('')

Math.random = () => rng.float()
globalThis.crypto.randomUUID = () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`
globalThis.crypto.getRandomValues = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  for (let i = 0; i < bytes.length; i++) bytes[i] = rng.int(0, 255)
  return array
}
