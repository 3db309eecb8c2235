// Random text of the kinds that documents hold.

const words = (
  'local first notes that stay yours merge without conflict every block is a line of text and the rest is ' +
  'plain garden Straße naïve café Ελλάδα привет 日本語 文字 שלום مرحبا हिन्दी e\u0301tude 👋 👩‍👩‍👧 🇩🇪 👍🏽 🙂'
).split(' ')

const joints = [[30, ' '], [2, ', '], [2, '. '], [1, '  '], [1, ''], [1, '\u00a0'], [1, ' — ']]

/** A piece of a line: never empty, without line ends. */
export const phrase = (rng, max = 8) => {
  let s = rng.pick(words)
  for (let i = rng.int(0, max); i > 0; i--) s += rng.weighted(joints) + rng.pick(words)
  if (rng.chance(0.1)) s += ' '
  if (rng.chance(0.05)) s = ' ' + s
  return s
}

/** Lines of code: with line ends and tabs. */
export const code = (rng) => {
  const lines = []
  for (let i = rng.int(1, 4); i > 0; i--) lines.push(rng.pick(['', '\t', '  ']) + (rng.chance(0.2) ? '' : phrase(rng, 3)))
  return lines.join('\n')
}

export const name = (rng) => rng.pick(['Ada', 'Ben', 'Zoë', 'Ōe Kenzaburō', '李', 'o\'Neill 👋'])

export const url = (rng) => `https://example.org/${rng.int(0, 999)}?q=${rng.pick(['a', 'ü', '"'])}`
