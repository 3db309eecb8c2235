// Plays one scenario with the real clients of y-websocket and Hocuspocus:
//
//	node live.mjs <scenario> <url> <space> <document>
//
// A line on stdout is what the test waits for; it answers with one on stdin.
import { createInterface } from 'node:readline'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const [scenario, url, space, document] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (value) => console.log(JSON.stringify(value))
const hear = async () => (await lines.next()).value
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const until = async (what, is) => {
	for (const end = Date.now() + 60_000; !is(); await sleep(5)) {
		if (Date.now() > end) throw new Error(`never: ${what}`)
	}
}

// A client has a document, and says whether all of it is stored, as far as it can tell.
const yWebsocket = (token, doc = new Y.Doc(), name = document) => {
	const provider = new WebsocketProvider(`${url}/y`, `${space}/${name}`, doc, {
		WebSocketPolyfill: WebSocket, disableBc: true, params: { token }
	})
	return { doc, provider, text: doc.getText('text'), synced: () => provider.synced }
}

const hocuspocus = (token, doc = new Y.Doc(), name = document) => {
	const provider = new HocuspocusProvider({
		url: `${url}/hocuspocus`, name: `${space}/${name}`, document: doc, token, WebSocketPolyfill: WebSocket
	})
	return { doc, provider, text: doc.getText('text'), synced: () => provider.synced && !provider.hasUnsyncedChanges }
}

const scenarios = {
	// Four clients and Go write at the same time.
	async together () {
		const clients = [yWebsocket('writer'), hocuspocus('writer'), yWebsocket('writer'), hocuspocus('writer')]
		await until('all are synced', () => clients.every((c) => c.synced()))
		say('ready')
		for (let i = 0; i < 50; i++) {
			for (const [n, c] of clients.entries()) c.text.insert((i * 7 + n) % (c.text.length + 1), `${n}`)
			await sleep(2)
		}
		await hear() // Go has written
		const whole = (c) => c.text.length === 4 * 50 + 50
		await until('all have all', () => clients.every((c) => c.synced() && whole(c)))
		const texts = new Set(clients.map((c) => c.text.toString()))
		if (texts.size !== 1) throw new Error(`they have ${texts.size} texts`)
		// Who was away brings what it wrote, and gets what others did.
		const [a, b] = clients
		a.provider.disconnect()
		await until('it is away', () => !a.provider.synced)
		a.text.insert(0, 'away ')
		b.text.insert(b.text.length, ' here')
		a.provider.connect()
		await until('all have all', () => clients.every((c) => c.synced() && c.text.toString().startsWith('away ') && c.text.toString().endsWith(' here')))
		say(a.text.toString())
	},

	// Clients that hear of nobody stay on their first connection: each in a document of its
	// own, also those that only read, and those that tell nothing of themselves.
	async alone () {
		const opened = {}
		for (const token of ['writer', 'viewer', 'silent']) {
			for (const connect of [yWebsocket, hocuspocus]) {
				const name = `${connect.name} ${token}`
				opened[name] = 0
				const c = connect(token === 'viewer' ? 'viewer' : 'writer', new Y.Doc(), name)
				if (token === 'silent') c.provider.awareness.setLocalState(null)
				if (connect === hocuspocus) c.provider.on('open', () => opened[name]++)
				else c.provider.on('status', ({ status }) => { if (status === 'connected') opened[name]++ })
				await until('it is synced', () => c.provider.synced)
			}
		}
		await sleep(70_000)
		say(opened)
	},

	// Viewers see, know that they may not write, and what they write goes nowhere.
	async viewer () {
		const warnings = []
		console.warn = (text) => warnings.push(text)
		const writer = hocuspocus('writer')
		const viewers = [yWebsocket('viewer'), hocuspocus('viewer')]
		let closed = 0
		viewers[0].provider.on('connection-close', () => closed++)
		viewers[1].provider.on('close', () => closed++)
		writer.text.insert(0, 'written')
		await until('they see', () => viewers.every((c) => c.text.toString() === 'written'))
		const scope = viewers[1].provider.authorizedScope
		for (const c of viewers) c.text.insert(0, 'forged ')
		await sleep(200)
		writer.text.insert(0, 'more ')
		await until('they still see', () => viewers.every((c) => c.text.toString().includes('more')))
		say({ scope, warned: warnings.length > 0, closed, unsynced: viewers[1].provider.unsyncedChanges, writer: writer.text.toString() })
	},

	// A wrong token, on a connection that another document uses too.
	async denied () {
		const socket = new HocuspocusProviderWebsocket({ url: `${url}/hocuspocus`, WebSocketPolyfill: WebSocket })
		const open = (name, token) => new HocuspocusProvider({ websocketProvider: socket, name, token, document: new Y.Doc() })
		const denied = open(`${space}/secret`, 'wrong')
		let reason = ''
		denied.on('authenticationFailed', (e) => { reason = e.reason })
		denied.attach()
		const allowed = open(`${space}/${document}`, 'writer')
		allowed.attach()
		await until('one is denied, one synced', () => reason !== '' && allowed.synced)
		const y = yWebsocket('wrong')
		let code = 0
		y.provider.on('closed', (e) => { code = e.code })
		await until('it is closed for good', () => code !== 0)
		say({ reason, code })
	},

	// A document of many megabytes.
	async large () {
		const a = yWebsocket('writer')
		await until('it is synced', () => a.provider.synced)
		a.text.insert(0, 'x'.repeat(6 << 20))
		const b = hocuspocus('writer')
		await until('the other has all', () => b.text.length === 6 << 20 && b.synced())
		say(b.text.length)
	},

	// The document is rebuilt while clients have it open, and one is away.
	async rebuilt () {
		const clients = [yWebsocket('writer'), hocuspocus('writer')]
		const away = [yWebsocket('writer'), hocuspocus('writer')]
		const seen = (c) => c.text.toString().includes('void')
		await until('all see it', () => [...clients, ...away].every(seen))
		const ends = []
		const note = ([y, h], who) => {
			y.provider.on('closed', ({ code }) => ends.push(`${who} ${code}`))
			h.provider.on('close', ({ event }) => { if (event.reason !== '') ends.push(`${who} ${event.reason}`) })
		}
		note(clients, 'here')
		note(away, 'away')
		for (const c of away) c.provider.disconnect()
		await until('they are away', () => away.every((c) => !c.provider.synced))
		say('ready')
		await hear() // it was rebuilt
		await until('who was here is closed', () => ends.filter((e) => e.startsWith('here')).length === 2)
		for (const c of away) c.provider.connect()
		await until('who was away is closed', () => ends.filter((e) => e.startsWith('away')).length === 2)
		const fresh = [yWebsocket('writer'), hocuspocus('writer')]
		await until('who starts afresh is synced', () => fresh.every((c) => c.synced() && c.text.toString() === 'kept'))
		fresh[0].text.insert(4, ' on')
		await until('it goes on', () => fresh.every((c) => c.text.toString() === 'kept on'))
		for (const c of fresh) c.provider.disconnect()
		await until('they are away', () => fresh.every((c) => !c.provider.synced))
		fresh[0].text.insert(0, 'we ')
		for (const c of fresh) c.provider.connect() // and may come back
		await until('it still goes on', () => fresh.every((c) => c.synced() && c.text.toString() === 'we kept on'))
		say(ends.sort())
	}
}

await scenarios[scenario]()
process.exit(0)
