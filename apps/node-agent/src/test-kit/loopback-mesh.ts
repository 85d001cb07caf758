import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { LocalWorkload } from '@ambient-lab/dataplane'
import type { HostPort } from '../hosting/container.ts'
import type { Mesh } from '../hosting/mesh.ts'

/** How many bytes of a SOCKS5 request follow its address type; by address type. */
const ADDRESS_DOMAIN = 3

/**
 * A mesh for tests: real SOCKS5 capture listeners, and behind them plain connections by workload or service name. No
 * tunnel, no policy; refusals are injected by name.
 */
export class LoopbackMesh implements Mesh, AsyncDisposable {
  readonly workloads = new Map<string, LocalWorkload>()
  /** Name → SOCKS status, for destinations that are refused. */
  readonly refused = new Map<string, number>()
  /** `source>host:port`, one for each connection. */
  readonly connections: string[] = []
  readonly #servers = new Map<string, Server>()
  readonly #sockets = new Set<Socket>()
  readonly #routes = new Map<string, (port: number) => HostPort | undefined>()

  async addWorkload(workload: LocalWorkload): Promise<{ capture?: HostPort }> {
    this.workloads.set(workload.uid, workload)
    this.route(workload.name, (port) => workload.dialTarget(port))
    if (workload.hasSidecar) return {}
    const server = createServer((socket) => this.#serve(socket, workload.name))
    this.#servers.set(workload.uid, server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { capture: { host: '127.0.0.1', port: (server.address() as AddressInfo).port } }
  }

  async removeWorkload(uid: string): Promise<void> {
    this.workloads.delete(uid)
    this.#servers.get(uid)?.close()
    this.#servers.delete(uid)
  }

  /** Sends connections to `name` where `target` says. */
  route(name: string, target: (port: number) => HostPort | undefined): void {
    this.#routes.set(name, target)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.values()) server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #serve(socket: Socket, source: string): void {
    this.#track(socket)
    let received: Buffer = Buffer.alloc(0)
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 8 || received[6] !== ADDRESS_DOMAIN) return
      const length = received[7]!
      if (received.length < 10 + length) return
      socket.off('data', onData).pause()
      const host = received.subarray(8, 8 + length).toString('latin1')
      this.#connect(socket, source, host, received.readUInt16BE(8 + length))
    }
    socket.on('data', onData)
  }

  #connect(socket: Socket, source: string, host: string, port: number): void {
    this.connections.push(`${source}>${host}:${port}`)
    const target = this.#routes.get(host)?.(port)
    const status = this.refused.get(host) ?? (target ? 0 : 4)
    if (!target || status !== 0) {
      socket.end(reply(status))
      return
    }
    const upstream = connect({ ...target, noDelay: true })
    this.#track(upstream)
    upstream.once('connect', () => {
      socket.write(reply(0))
      socket.pipe(upstream).pipe(socket)
    })
    upstream.once('error', () => socket.end(reply(5)))
    socket.on('close', () => upstream.destroy())
    upstream.on('close', () => socket.destroy())
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }
}

function reply(status: number): Buffer {
  return Buffer.from([5, 0, 5, status, 0, 1, 0, 0, 0, 0, 0, 0])
}
