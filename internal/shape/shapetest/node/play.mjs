// One document of a family, as a function of its seed.

import { reseed } from './seeded.mjs'
import * as Y from 'yjs'
import { Prng } from '../../../yjs/yjstest/node/prng.mjs'
import { prosemirror } from './prosemirror.mjs'
import { tiptap } from './tiptap.mjs'
import { blocknote } from './blocknote.mjs'
import { slate } from './slate.mjs'
import { quill } from './quill.mjs'
import { lexical } from './lexical.mjs'
import { yoopta } from './yoopta.mjs'

const families = { prosemirror, tiptap, blocknote, slate, quill, lexical, yoopta }

export const familyNames = Object.keys(families)

/** Returns {record}, or {dropped: why} where the editor itself threw. */
export const play = async (family, seed) => {
  reseed((seed ^ 0x5eed) >>> 0)
  let made
  try {
    made = await families[family](new Prng(seed))
  } catch (e) {
    return { dropped: String(e.message).split('\n')[0].replace(/\d+/g, 'N').slice(0, 80) }
  }
  const { doc, ...rest } = made
  return { record: { family, seed, ...rest, update: Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64') } }
}
