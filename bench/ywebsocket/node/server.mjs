// The other servers, each in a process of its own, as its makers start one:
//
//	node server.mjs y-websocket|hocuspocus <directory>
//
// It prints its port, and ends when its input does.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'

const [kind, dir] = process.argv.slice(2)

const yWebsocket = async () => {
	process.env.YPERSISTENCE = join(dir, 'level')
	console.info = () => {}
	const { setupWSConnection } = await import('@y/websocket-server/utils')
	const { WebSocketServer } = await import('ws')
	const server = createServer()
	new WebSocketServer({ server }).on('connection', setupWSConnection)
	server.listen(0, '127.0.0.1')
	await once(server, 'listening')
	return server.address().port
}

const hocuspocus = async () => {
	const { Server } = await import('@hocuspocus/server')
	const { SQLite } = await import('@hocuspocus/extension-sqlite')
	const server = new Server({
		port: 0,
		address: '127.0.0.1',
		quiet: true,
		stopOnSignals: false,
		extensions: [new SQLite({ database: join(dir, 'documents.sqlite') })]
	})
	await server.listen()
	return server.address.port
}

const port = await (kind === 'y-websocket' ? yWebsocket : hocuspocus)()
console.log(port, 'space', process.pid)
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
