// What an Electron app's main process has of the daemon: it starts it, and calls it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const proto = fileURLToPath(new URL('../proto', import.meta.url))
const definition = loadSync('soma/daemon/v1/daemon.proto', {
  includeDirs: [proto], longs: Number, enums: String, defaults: true, oneofs: true
})
const { Daemon: Client } = grpc.loadPackageDefinition(definition).soma.daemon.v1

// maxDocument is how long a document may be that GetDocument returns.
const maxDocument = 256 << 20

export class Daemon {
  // start starts a daemon, and returns once it can be called. Its stdin is a pipe that
  // nobody writes to: when this process ends, however it does, the daemon does too.
  static async start (dir, flags = []) {
    const child = spawn(process.env.SOMA_DAEMON, ['-dir', dir, ...flags], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    const lines = createInterface({ input: child.stdout })
    const [line] = await Promise.race([once(lines, 'line'), ended.then(([code, signal]) => {
      throw new Error(`the daemon ended before it was ready: ${code ?? signal}`)
    })])
    return new Daemon(child, ended, JSON.parse(line))
  }

  constructor (child, ended, ready) {
    Object.assign(this, { child, ended, ready })
    this.client = new Client(ready.address, grpc.credentials.createInsecure(), { 'grpc.max_receive_message_length': maxDocument })
  }

  metadata () {
    const metadata = new grpc.Metadata()
    if (this.ready.token) metadata.set('authorization', `Bearer ${this.ready.token}`)
    return metadata
  }

  // call makes a call with one answer.
  call (method, request = {}) {
    return new Promise((resolve, reject) => {
      this.client[method](request, this.metadata(), (error, answer) => error ? reject(error) : resolve(answer))
    })
  }

  // stream makes a call with many answers, which is an async iterable. To break off ends it.
  stream (method, request = {}) {
    const stream = this.client[method](request, this.metadata())
    return stream.on('close', () => stream.on('error', () => {}).cancel())
  }

  // invoke makes a call of either kind, as the renderer does over IPC.
  async invoke (method, request) {
    if (!this.client[method].responseStream) return this.call(method, request)
    const all = []
    for await (const message of this.stream(method, request)) all.push(message)
    return all
  }

  // events subscribes, and returns once that holds. close ends it.
  async events (tell) {
    const stream = this.stream('subscribeDomainEvents')
    stream.on('data', tell)
    stream.on('error', () => {}) // close, or the end of the daemon
    await once(stream, 'metadata')
    return { close: () => stream.cancel() }
  }

  // upload stores the chunks of an iterable, such as a file's ReadStream, as a blob, and
  // nothing if they do not come to their end. header.size has to say how many bytes they are:
  // to the daemon, a call that grpc-js cancels may look like one that has ended.
  async upload (header, chunks) {
    if (!Number.isInteger(header.size)) throw new TypeError('upload: size is missing')
    return new Promise((resolve, reject) => {
      const answered = new AbortController()
      const stream = this.client.uploadBlob(this.metadata(), (error, info) => {
        answered.abort() // it may have been refused before the end
        error ? reject(error) : resolve(info)
      })
      pipeline(parts(header, chunks), stream, { signal: answered.signal }).catch(error => {
        reject(error)
        stream.cancel()
      })
    })
  }

  // stop ends the daemon as the end of this process would.
  async stop () {
    this.client.close()
    this.child.stdin.end()
    return this.ended
  }

  // kill ends it as a crash would.
  async kill () {
    this.child.kill('SIGKILL')
    await this.ended
    this.client.close()
  }
}

async function * parts (header, chunks) {
  yield { header }
  for await (const chunk of chunks) yield { chunk }
}
