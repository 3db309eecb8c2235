// A small seeded generator (sfc32), so that a session is a function of its seed
// alone: on any machine, under any version of node.

const splitmix = (seed) => () => {
  seed = (seed + 0x9e3779b9) | 0
  let t = seed ^ (seed >>> 16)
  t = Math.imul(t, 0x21f0aaad)
  t ^= t >>> 15
  t = Math.imul(t, 0x735a2d97)
  return (t ^ (t >>> 15)) >>> 0
}

export class Prng {
  /** @param {number} seed an integer in 0..2^32-1 */
  constructor (seed) {
    const next = splitmix(seed >>> 0)
    this.a = next()
    this.b = next()
    this.c = next()
    this.counter = 1
    for (let i = 0; i < 12; i++) this.uint32()
  }

  uint32 () {
    const t = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = ((this.c << 21) | (this.c >>> 11)) + t | 0
    return t >>> 0
  }

  /** A float in [0, 1). */
  float () {
    return this.uint32() / 0x100000000
  }

  /** An integer in [min, max], both included. */
  int (min, max) {
    return min + Math.floor(this.float() * (max - min + 1))
  }

  chance (p) {
    return this.float() < p
  }

  pick (list) {
    return list[this.int(0, list.length - 1)]
  }

  /** Picks a value from [[weight, value], ...]. */
  weighted (pairs) {
    let total = 0
    for (const [weight] of pairs) total += weight
    let at = this.float() * total
    for (const [weight, value] of pairs) {
      at -= weight
      if (at < 0) return value
    }
    return pairs[pairs.length - 1][1]
  }

  /** A shuffled copy. */
  shuffle (list) {
    const out = list.slice()
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(0, i)
      const t = out[i]
      out[i] = out[j]
      out[j] = t
    }
    return out
  }
}
