// The protocol handler of an Electron app for soma-blob://daemon/{space}/{cid}.

import { status } from '@grpc/grpc-js'

// answer returns the Response to a Request, with a range if it asks for one.
export async function answer (daemon, request) {
  const [spaceId, cid] = new URL(request.url).pathname.slice(1).split('/')
  try {
    const info = await daemon.call('statBlob', { spaceId, cid })
    const range = parse(request.headers.get('range'), info.size)
    if (range === null) return new Response(null, { status: 416, headers: { 'content-range': `bytes */${info.size}` } })
    const { first, last } = range ?? { first: 0, last: info.size - 1 }
    const headers = {
      'accept-ranges': 'bytes',
      'content-type': info.mime || 'application/octet-stream',
      'content-length': String(last - first + 1),
      'content-security-policy': 'sandbox', // other members choose what is in it
      'x-content-type-options': 'nosniff'
    }
    if (range) headers['content-range'] = `bytes ${first}-${last}/${info.size}`
    const parts = daemon.stream('readBlob', { spaceId, cid, offset: first, length: last - first + 1, fetch: true })
    return new Response(body(parts), { status: range ? 206 : 200, headers })
  } catch (error) {
    return new Response(null, { status: error.code === status.NOT_FOUND || error.code === status.INVALID_ARGUMENT ? 404 : 503 })
  }
}

// body returns the chunks of a blob. Who cancels it, as a <video> does that seeks, ends the
// call, be it one that waits for another machine.
function body (parts) {
  const chunks = chunksOf(parts)
  return new ReadableStream({
    async pull (controller) {
      const { done, value } = await chunks.next()
      done ? controller.close() : controller.enqueue(value)
    },
    cancel: () => { parts.destroy() }
  }, { highWaterMark: 0 })
}

async function * chunksOf (parts) {
  for await (const { chunk } of parts) if (chunk) yield chunk
}

// parse returns one range of bytes, undefined for none, null for one that cannot be served.
function parse (header, size) {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if (from === undefined || from + to === '') return undefined
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
  return first <= last ? { first, last } : null
}
