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

/** Where a connection goes in: a plain port, or a SOCKS5 listener that is told where to. */
export interface Door {
  readonly port: number
  readonly socks?: { readonly ip: string; readonly port: number }
}

const SOCKS_ANSWER_BYTES = 12

/** Opens a connection as a program would. Through SOCKS5 it stands when the far end does. */
export function open(door: Door): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: door.port, host: '127.0.0.1', noDelay: true }, () => {
      if (door.socks) askSocks(socket, door.socks).then(() => resolve(socket), reject)
      else resolve(socket)
    })
    socket.on('error', reject)
  })
}

/** Greeting and request in one segment, as a client may that needs no authentication. */
function askSocks(socket: Socket, { ip, port }: NonNullable<Door['socks']>): Promise<void> {
  socket.write(Uint8Array.from([5, 1, 0, 5, 1, 0, 1, ...ip.split('.').map(Number), port >> 8, port & 255]))
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onReadable = () => {
    const answer: Buffer | null = socket.read(SOCKS_ANSWER_BYTES)
    if (!answer) return
    socket.off('readable', onReadable)
    socket.off('close', onClose)
    if (answer[3] === 0) resolve()
    else reject(new Error(`SOCKS answered ${answer[3]}`))
  }
  const onClose = () => reject(new Error('hung up instead of an answer'))
  socket.on('readable', onReadable)
  socket.on('close', onClose)
  return promise
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

/** Seconds of processor time that the proxies have used. */
export type CpuClock = () => number

/** Compilers and windows have settled by then. */
const WARM_UP_SECONDS = 1

/** From clients to the sink. */
export async function upload(
  door: Door,
  sink: Backend,
  streams: number,
  seconds: number,
  cpu: CpuClock,
): Promise<Moved> {
  const sockets = await Promise.all(Array.from({ length: streams }, () => open(door)))
  for (const socket of sockets) {
    socket.on('error', () => {})
    flood(socket)
  }
  const moved = await measure(() => sink.bytes, seconds, cpu)
  for (const socket of sockets) socket.destroy()
  return moved
}

/** From backends that flood to clients. */
export async function download(door: Door, streams: number, seconds: number, cpu: CpuClock): Promise<Moved> {
  let bytes = 0
  const sockets = await Promise.all(Array.from({ length: streams }, () => open(door)))
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
  await wait(WARM_UP_SECONDS)
  const [startCount, start, startCpu] = [counter(), performance.now(), cpu()]
  await wait(seconds)
  return {
    count: counter() - startCount,
    seconds: (performance.now() - start) / 1000,
    cpuSeconds: cpu() - startCpu,
  }
}

/** Round-trip times in ms of one message at a time over one connection, sorted; as many go before that do not count. */
export async function pingPong(door: Door, bytes: number, count: number): Promise<number[]> {
  const socket = await open(door)
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
      if (times.length < 2 * count) send()
      else resolve()
    })
    send()
  })
  socket.destroy()
  return times.slice(count).sort((a, b) => a - b)
}

/** Connections: open, one byte there and back, close; `concurrency` at a time. */
export async function connections(door: Door, concurrency: number, seconds: number, cpu: CpuClock): Promise<Moved> {
  let done = 0
  let stop = false
  const one = async () => {
    const socket = await open(door)
    await exchange(socket)
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

/** One byte to the echo and back. */
export function exchange(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('data', () => {
      socket.off('error', reject)
      resolve()
    })
    socket.write('x')
  })
}

/** Keeps `count` connections open that have said one byte each. */
export async function openIdle(door: Door, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < count) {
    const batch = await Promise.all(Array.from({ length: Math.min(50, count - sockets.length) }, () => open(door)))
    await Promise.all(batch.map(exchange))
    sockets.push(...batch)
  }
  return sockets
}

export function wait(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}
