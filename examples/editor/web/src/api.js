// Browsers send so much, in bytes, also for a page that is left in the meantime.
const maxKeptAlive = 16 << 10

// Calls of the program. A failed one throws an Error with what the program says.
export async function call(method, path, body) {
  const file = body instanceof Blob
  const sent = body === undefined || file ? body : JSON.stringify(body)
  const response = await fetch('/api/' + path, {
    method,
    headers: body === undefined ? {} : { 'Content-Type': file ? body.type : 'application/json' },
    body: sent,
    keepalive: !file && (sent?.length ?? 0) < maxKeptAlive / 3, // a character has up to three
  })
  const text = await response.text()
  if (!response.ok) throw new Error(response.headers.get('Content-Type') === 'application/json' ? JSON.parse(text).error : text.trim())
  return JSON.parse(text)
}

export const inSpace = (space, path) => `spaces/${encodeURIComponent(space)}/${path}`
export const inPage = (space, page, path = '') => inSpace(space, `pages/${encodeURIComponent(page)}${path}`)

// Listens to what changes, while somebody looks: a browser has few connections to one host.
export function listen({ ready, change, sync }) {
  let source
  const toggle = () => {
    source?.close()
    source = undefined
    if (document.hidden) return
    source = new EventSource('/api/events')
    source.addEventListener('ready', ready)
    source.addEventListener('change', (event) => change(JSON.parse(event.data)))
    source.addEventListener('sync', (event) => sync(JSON.parse(event.data)))
  }
  document.addEventListener('visibilitychange', toggle)
  toggle()
}

// A blob has one name on all machines, and is shown from where this page is.
const blobURL = /^soma-blob:\/\/daemon\/(\w+)\/(\w+)$/
export const localURL = (url) => (blobURL.test(url) ? url.replace(blobURL, '/blobs/$1/$2') : undefined)
