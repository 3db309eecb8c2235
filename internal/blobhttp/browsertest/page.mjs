// What a renderer does with blobs. The tests call it as window.soma.
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/raw'
import { sha256 } from 'multiformats/sha2'

// event waits for one of an element, or fails with its error event.
const event = (element, name) => new Promise((resolve, reject) => {
	element.addEventListener(name, resolve, { once: true })
	element.addEventListener('error', () => reject(new Error(`${element.tagName}: ${element.error?.message ?? 'error'}`)), { once: true })
})

// add shows an element and waits for its event.
const add = async (tag, attributes, name = 'load') => {
	const element = Object.assign(document.createElement(tag), attributes)
	const loaded = event(element, name)
	document.body.append(element)
	await loaded
	return element
}

// pixel is the colour in the middle of a picture or a film.
const pixel = source => {
	const canvas = Object.assign(document.createElement('canvas'), { width: 9, height: 9 })
	const context = canvas.getContext('2d')
	context.drawImage(source, 0, 0, 9, 9)
	return [...context.getImageData(4, 4, 1, 1).data]
}

const cidOf = async bytes => CID.createV1(raw.code, await sha256.digest(bytes)).toString()

// film records half a second of red, and then of blue.
const film = async () => {
	const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 })
	const context = canvas.getContext('2d')
	const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: 'video/webm; codecs=vp8' })
	const chunks = []
	recorder.ondataavailable = e => chunks.push(e.data)
	const stopped = new Promise(resolve => { recorder.onstop = resolve })
	recorder.start()
	for (const colour of ['red', 'blue']) {
		for (let i = 0; i < 10; i++) {
			context.fillStyle = colour
			context.fillRect(0, 0, 64, 64)
			await new Promise(resolve => setTimeout(resolve, 50))
		}
	}
	recorder.stop()
	await stopped
	return new Uint8Array(await new Blob(chunks).arrayBuffer())
}

// put computes the CID of bytes and stores them under it.
const put = async (bytes, type) => {
	const cid = await cidOf(bytes)
	const response = await fetch(`/put/${cid}`, { method: 'POST', body: bytes, headers: { 'Content-Type': type } })
	if (!response.ok) throw new Error(await response.text())
	return { cid, url: await response.text() }
}

const random = size => {
	const bytes = new Uint8Array(size)
	for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65536)))
	return bytes
}

// parse reads a blob URL by the means of a browser, or returns null.
const parse = text => {
	let url
	try { url = new URL(text) } catch { return null }
	const [, space, cid, more] = url.pathname.split('/')
	const is = (id, codec) => {
		try {
			const c = CID.parse(id)
			return c.version === 1 && c.code === codec && c.multihash.code === sha256.code && c.toString() === id
		} catch { return false }
	}
	const canonical = url.href === text && url.protocol === 'soma-blob:' && url.host === 'daemon' &&
		!url.username && !url.search && !url.hash && more === undefined && !/[?#]$/.test(text)
	return canonical && is(space, 0x71) && is(cid, raw.code) ? { space, cid } : null
}

window.soma = { add, event, pixel, cidOf, film, put, random, parse }
