// Measures Soma, y-websocket's server with y-leveldb and Hocuspocus with SQLite as their
// clients see them, in lines as Go's benchmarks print them:
//
//	node bench.mjs <Soma's server> <divisor> [figure]
//
// Clients are bare websockets that speak the protocols, in one process, so that what it
// costs to be a client is the same on all sides, and little.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createDecoder, readVarString, readVarUint, readVarUint8Array } from 'lib0/decoding'
import { createEncoder, toUint8Array, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding'
import WebSocket from 'ws'
import * as Y from 'yjs'

const [soma, divisor, only] = [process.argv[2], Number(process.argv[3] ?? 1), process.argv[4]]
const scaled = (n) => Math.max(1, Math.ceil(n / divisor))
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// The kinds of messages and, of kind 0, of sync messages.
const [SYNC, AUTH, SYNC_STATUS] = [0, 2, 8]
const [STEP1, STEP2, UPDATE] = [0, 1, 2]

const serve = async (command, dir) => {
	const child = spawn(command[0], [...command.slice(1), dir], { stdio: ['pipe', 'pipe', 'inherit'] })
	const [port, space, pid] = (await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()).value.split(' ')
	return {
		port,
		space,
		megabytes: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) / 1024,
		stop: () => new Promise((resolve) => { child.on('exit', resolve); child.stdin.end() })
	}
}

/** Sides have a server, and clients that speak one protocol to it. */
const script = new URL('server.mjs', import.meta.url).pathname
const sides = {
	'Soma': { command: [soma], url: (s, name) => `/y/${s.space}/${name}`, name: () => '' },
	'SomaHocuspocus': { command: [soma], url: () => '/hocuspocus', name: (s, name) => `${s.space}/${name}` },
	'YWebsocket': { command: ['node', script, 'y-websocket'], url: (s, name) => `/${name}`, name: () => '' },
	'Hocuspocus': { command: ['node', script, 'hocuspocus'], url: () => '/', name: (s, name) => name }
}

/** A client of one document. It calls onUpdate with updates, and onStored once for each that is acknowledged. */
const connect = (side, server, document) => new Promise((resolve, reject) => {
	const name = side.name(server, document)
	const ws = new WebSocket(`ws://127.0.0.1:${server.port}${side.url(server, document)}`, { perMessageDeflate: false })
	ws.binaryType = 'nodebuffer'
	const message = (write) => {
		const e = createEncoder()
		if (name) writeVarString(e, name)
		write(e)
		return toUint8Array(e)
	}
	const sync = (kind, bytes) => message((e) => { writeVarUint(e, SYNC); writeVarUint(e, kind); writeVarUint8Array(e, bytes) })
	const c = {
		acknowledged: name !== '',
		got: 0, // bytes of the document
		more: () => new Promise((come) => { c.come = come }),
		come: () => {},
		onUpdate: () => {},
		onStored: () => {},
		send: (update) => ws.send(sync(UPDATE, update)),
		close: () => new Promise((closed) => { ws.on('close', closed); ws.close() })
	}
	const opened = performance.now()
	ws.on('error', reject)
	ws.on('close', (code) => reject(new Error(`closed with ${code}`)))
	ws.on('open', () => {
		if (name) ws.send(message((e) => { writeVarUint(e, AUTH); writeVarUint(e, 0); writeVarString(e, '') }))
		ws.send(sync(STEP1, Uint8Array.of(0)))
	})
	ws.on('message', (data) => {
		const d = createDecoder(data)
		if (name) readVarString(d)
		const kind = readVarUint(d)
		if (kind === SYNC_STATUS) return c.onStored()
		if (kind !== SYNC) return
		const step = readVarUint(d)
		if (step === STEP1) return ws.send(sync(STEP2, Uint8Array.of(0, 0)))
		const update = readVarUint8Array(d)
		c.got += update.length
		c.gotMs = performance.now() - opened
		if (step === UPDATE) c.onUpdate(update)
		else resolve(c)
		c.come()
	})
})

/** The updates of somebody who types. */
const typed = (n, client) => {
	const doc = new Y.Doc({ gc: false })
	doc.clientID = client
	const updates = []
	doc.on('update', (u) => updates.push(u))
	const text = doc.getText('text')
	for (let i = 0; i < n; i++) text.insert(Math.min(i, 40), String.fromCharCode(97 + i % 26))
	return updates
}

/** Applies updates, and says how many characters of a client there are. */
const reader = (client) => {
	const doc = new Y.Doc()
	return (update) => {
		Y.applyUpdate(doc, update)
		return Y.getState(doc.store, client)
	}
}

const figures = {
	/** Several people write as fast as they are told that it is stored, or, without that, seen by another. */
	async edits (side, server) {
		const [documents, edits, window] = [8, scaled(2000), 32]
		let clientID = 1
		const writers = await Promise.all(Array.from({ length: documents }, async (_, i) => {
			const client = clientID++
			const [writer, other] = [await connect(side, server, `edits-${i}`), await connect(side, server, `edits-${i}`)]
			return { writer, other, client, updates: typed(edits, client) }
		}))
		const begun = performance.now()
		await Promise.all(writers.map(({ writer, other, client, updates }) => new Promise((done) => {
			let [sent, stored] = [0, 0]
			const more = () => {
				while (sent < edits && sent - stored < window) writer.send(updates[sent++])
				if (stored >= edits) done()
			}
			if (writer.acknowledged) {
				writer.onStored = () => { stored++; more() }
			} else {
				const read = reader(client)
				other.onUpdate = (u) => { stored = read(u); more() }
			}
			more()
		})))
		const seconds = (performance.now() - begun) / 1000
		await Promise.all(writers.flatMap(({ writer, other }) => [writer.close(), other.close()]))
		return [[documents * edits / seconds, 'edits/s']]
	},

	/** Somebody types, another one sees it: alone, and while many do. */
	async latency (side, server) { return latency(side, server, 1, scaled(500), 10) },
	async 'latency-of-many' (side, server) { return latency(side, server, 40, scaled(200), 40) },

	/** Many documents are open, one client each. */
	async memory (side, server) {
		const documents = scaled(1000)
		const update = Y.mergeUpdates(typed(1000, 1))
		const clients = []
		for (let i = 0; i < documents; i++) {
			const c = await connect(side, server, `memory-${i}`)
			c.send(update)
			clients.push(c)
		}
		await sleep(5000)
		const used = server.megabytes()
		await Promise.all(clients.map((c) => c.close()))
		return [[used, 'MB']]
	},

	/** A document of 5 MB is opened by the first client since the server began, and by the next. */
	async 'first-sync' (side, server, restart) {
		const size = scaled(5 << 20)
		const writer = await connect(side, server, 'large')
		const doc = new Y.Doc()
		const text = doc.getText('text')
		doc.transact(() => {
			const line = 'lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor '
			for (let at = 0; at < size; at += line.length) text.insert((at * 7919) % (text.length + 1), line)
		})
		writer.send(Y.encodeStateAsUpdate(doc))
		for (let have = 0; have < size; await sleep(200)) { // all of it is there
			const other = await connect(side, server, 'large')
			have = other.got
			await other.close()
		}
		await writer.close()
		await sleep(5000) // Hocuspocus writes after a while
		const again = await restart()
		const open = async () => {
			const c = await connect(side, again, 'large')
			while (c.got < size) await c.more() // y-websocket's server answers before it has read
			await c.close()
			return c.gotMs
		}
		return [[await open(), 'ms-cold'], [await open(), 'ms-warm']]
	}
}

const latency = async (side, server, pairs, edits, everyMs) => {
	const times = []
	await Promise.all(Array.from({ length: pairs }, async (_, i) => {
		const client = i + 1
		const [writer, other] = [await connect(side, server, `latency-${pairs}-${i}`), await connect(side, server, `latency-${pairs}-${i}`)]
		const [updates, sentAt, read] = [typed(edits, client), [], reader(client)]
		const cold = edits / 10 // until node has compiled the clients and the others' servers
		let seen = 0
		const all = new Promise((done) => {
			other.onUpdate = (u) => {
				for (const now = performance.now(), end = read(u); seen < end; seen++) {
					if (seen >= cold) times.push(now - sentAt[seen])
				}
				if (seen >= edits) done()
			}
		})
		await sleep(Math.random() * everyMs)
		for (const u of updates) {
			sentAt.push(performance.now())
			writer.send(u)
			await sleep(everyMs)
		}
		await all
		await Promise.all([writer.close(), other.close()])
	}))
	times.sort((a, b) => a - b)
	const at = (p) => times[Math.min(times.length - 1, Math.floor(times.length * p))]
	return [[at(0.5), 'ms-p50'], [at(0.99), 'ms-p99']]
}

for (const [what, figure] of Object.entries(figures)) {
	if (only && what !== only) continue
	for (const [name, side] of Object.entries(sides)) {
		const dir = mkdtempSync(join(tmpdir(), 'soma-bench-'))
		let server = await serve(side.command, dir)
		const restart = async () => {
			await server.stop()
			server = await serve(side.command, dir)
			return server
		}
		const values = await figure(side, server, restart)
		await server.stop()
		rmSync(dir, { recursive: true })
		console.log(`Benchmark${name}/${what}\t1\t${values.map(([v, unit]) => `${v.toFixed(2)} ${unit}`).join('\t')}`)
	}
}
process.exit(0)
