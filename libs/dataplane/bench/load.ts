import { connect, createServer, type Server, type Socket } from 'node:net'

/** What a backend does with each connection. */
export type BackendKind = 'sink' | 'echo' | 'source'

/** A plain TCP server in this process that counts what it is sent. */
export class Backend {
  bytes = 0
  readonly #server: Server

  constructor(kind: BackendKind) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => {})
      if (kind === 'source') return flood(socket)
      socket.on('data', (chunk) => {
        this.bytes += chunk.length
        if (kind === 'echo') socket.write(chunk)
      })
    })
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', 4096, resolve))
    return (this.#server.address() as { port: number }).port
  }

  close(): void {
    this.#server.close()
  }
}

export function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    socket.on('error', reject)
  })
}

const FLOOD = Buffer.alloc(256 * 1024, 'x')

/** Writes as fast as the socket takes it, until that is destroyed. */
function flood(socket: Socket): void {
  const more = () => {
    while (!socket.destroyed && socket.write(FLOOD)) {}
  }
  socket.on('drain', more)
  more()
}

/** Bytes moved, and what it took; of the time after the warm-up. */
export interface Moved {
  readonly count: number
  readonly seconds: number
  readonly cpuSeconds: number
}

/** A clock of wall time and one of the proxies' processor time. */
export type CpuClock = () => number

/** From clients to the sink. */
export async function upload(
  port: number,
  sink: Backend,
  streams: number,
  seconds: number,
  cpu: CpuClock,
): Promise<Moved> {
  const sockets = await Promise.all(Array.from({ length: streams }, () => open(port)))
  for (const socket of sockets) {
    socket.on('error', () => {})
    flood(socket)
  }
  const moved = await measure(() => sink.bytes, seconds, cpu)
  for (const socket of sockets) socket.destroy()
  return moved
}

/** From backends that flood to clients. */
export async function download(port: number, streams: number, seconds: number, cpu: CpuClock): Promise<Moved> {
  let bytes = 0
  const sockets = await Promise.all(Array.from({ length: streams }, () => open(port)))
  for (const socket of sockets) {
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      bytes += chunk.length
    })
  }
  const moved = await measure(() => bytes, seconds, cpu)
  for (const socket of sockets) socket.destroy()
  return moved
}

async function measure(counter: () => number, seconds: number, cpu: CpuClock): Promise<Moved> {
  await wait(0.5)
  const [startCount, start, startCpu] = [counter(), performance.now(), cpu()]
  await wait(seconds)
  return {
    count: counter() - startCount,
    seconds: (performance.now() - start) / 1000,
    cpuSeconds: cpu() - startCpu,
  }
}

/** Round-trip times in ms of one message at a time over one connection, sorted. */
export async function pingPong(port: number, bytes: number, count: number): Promise<number[]> {
  const socket = await open(port)
  const message = Buffer.alloc(bytes, 'x')
  const times: number[] = []
  await new Promise<void>((resolve, reject) => {
    let received = 0
    let sentAt = 0
    const send = () => {
      received = 0
      sentAt = performance.now()
      socket.write(message)
    }
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed')))
    socket.on('data', (chunk) => {
      received += chunk.length
      if (received < bytes) return
      times.push(performance.now() - sentAt)
      if (times.length < count) send()
      else resolve()
    })
    send()
  })
  socket.destroy()
  return times.slice(count >> 3).sort((a, b) => a - b)
}

/** Connections: open, one byte there and back, close; `concurrency` at a time. */
export async function connections(port: number, concurrency: number, seconds: number, cpu: CpuClock): Promise<Moved> {
  let done = 0
  let stop = false
  const one = async () => {
    const socket = await open(port)
    await new Promise<void>((resolve, reject) => {
      socket.once('data', () => resolve())
      socket.on('error', reject)
      socket.write('x')
    })
    socket.end()
    done += 1
  }
  const workers = Array.from({ length: concurrency }, async () => {
    while (!stop) await one()
  })
  const moved = await measure(() => done, seconds, cpu)
  stop = true
  await Promise.allSettled(workers)
  return moved
}

/** Keeps `count` connections open that have said one byte each. */
export async function openIdle(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < count) {
    const batch = await Promise.all(Array.from({ length: Math.min(50, count - sockets.length) }, () => open(port)))
    await Promise.all(batch.map((socket) => new Promise((resolve) => socket.once('data', resolve).write('x'))))
    sockets.push(...batch)
  }
  return sockets
}

export function wait(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}
