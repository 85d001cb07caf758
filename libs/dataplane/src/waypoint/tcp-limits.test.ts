import { VirtualClock } from '@ambient-lab/std'
import type { Cluster } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryPlainNetwork } from '../memory-plain-network.ts'
import type { PlainDialOptions, PlainListener } from '../plain-network.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { MemoryNetwork, MemoryTransport } from '../tunnel/memory-transport.ts'
import { clusterOf, clusterOfPod, MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'

const HOUR_MS = 3_600_000

/** Notes how it was asked to dial. */
class NotingNetwork extends MemoryPlainNetwork {
  /** First the program's, to its capture, then the proxies'. */
  readonly keepalives: PlainDialOptions['keepalive'][] = []

  override dial(target: { host: string; port: number }, options: PlainDialOptions): Promise<ByteStream> {
    this.keepalives.push(options.keepalive)
    return super.dial(target, options)
  }
}

/** Says every piece twice. */
function serve(stream: ByteStream): void {
  stream.start({
    onData: (piece) => {
      stream.write(Buffer.concat([piece, piece]))
    },
    onEnd: () => stream.end(),
    onDrain() {},
    onClose() {},
  })
}

let clock: VirtualClock
let network: NotingNetwork
let mesh: MeshWithWaypoint
let listener: PlainListener
beforeEach(async () => {
  clock = new VirtualClock()
  network = new NotingNetwork({ clock })
  const tunnels = new MemoryNetwork()
  mesh = new MeshWithWaypoint({
    clock,
    network,
    transport: (svids) => new MemoryTransport({ network: tunnels, clock, svids }),
    until: async (condition) => {
      expect(await clock.advanceUntil(condition, 30_000)).toBe(true)
    },
  })
  await mesh.start()
  listener = await network.listen({ host: '127.0.0.1', port: 0 }, serve)
  for (const pod of ['web-0', 'web-1']) mesh.targets.set(pod, listener.address)
  const backends = [{ cluster: 'web', weight: 1 }]
  mesh.chain({ tcp: { routes: [{ name: 'r', serverNames: [], destinationCidrs: [], backends }] } })
})
afterEach(async () => {
  await mesh.stop()
  await listener[Symbol.asyncDispose]()
})

const configure = (overrides: Partial<Cluster>) =>
  mesh.cluster({ ...clusterOfPod('web', 0), protocol: 'tcp', ...overrides })

async function echoed(text: string) {
  const program = await mesh.dial()
  program.say(text)
  await mesh.ground.until(() => program.text === text + text)
  return program
}

describe('a TCP connection', () => {
  it.each<[string, Cluster['tcpProxy'], number]>([
    ['the idle timeout of its DestinationRule', { idleTimeoutMs: 60_000, maxConnectionDurationMs: 0 }, 60_000],
    ['an hour by default', undefined, HOUR_MS],
  ])('that is silent ends after %s, without a flag', async (_, tcpProxy, idleMs) => {
    configure(tcpProxy ? { tcpProxy } : {})
    const program = await echoed('hi')
    await clock.advance(0.9 * idleMs)
    program.say('x')
    await clock.advance(0.9 * idleMs)
    expect(program.closed).toBe(false)
    await clock.advance(idleMs)
    expect(program.closed).toBe(true)
    expect(mesh.lines.at(-1)).toMatch(/^0 - /)
  })

  it('may be silent for ever where the timeout is 0', async () => {
    configure({ tcpProxy: { idleTimeoutMs: 0, maxConnectionDurationMs: 0 } })
    const program = await echoed('hi')
    await clock.advance(1.5 * HOUR_MS)
    expect(program.closed).toBe(false)
    program.stream.end()
    await mesh.ground.until(() => mesh.lines.length > 0)
  })

  it('ends after its longest time, busy or not, and says so', async () => {
    configure({ tcpProxy: { idleTimeoutMs: 60_000, maxConnectionDurationMs: 90_000 } })
    const program = await echoed('hi')
    for (let passedMs = 0; passedMs < 80_000; passedMs += 10_000) {
      await clock.advance(10_000)
      program.say('x')
    }
    expect(program.closed).toBe(false)
    await clock.advance(15_000)
    expect(program.closed).toBe(true)
    expect(mesh.lines.at(-1)).toMatch(/^0 DT /)
  })

  it('goes to the same endpoint as others of its source where a hash says so', async () => {
    const counts = [0, 0]
    const listeners = await Promise.all(
      counts.map((_, index) =>
        network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
          counts[index]! += 1
          serve(stream)
        }),
      ),
    )
    for (const [index, { address }] of listeners.entries()) mesh.targets.set(`web-${index}`, address)
    const loadBalancing = { policy: 'RING_HASH', hash: { kind: 'source-ip' } } as const
    mesh.cluster(clusterOf('web', { protocol: 'tcp', loadBalancing }))
    for (let index = 0; index < 8; index += 1) await echoed('hi')
    expect(counts.toSorted()).toEqual([0, 8])
    for (const { [Symbol.asyncDispose]: dispose } of listeners) await dispose()
  })
})

describe('TCP keepalive', () => {
  const tcpKeepalive = { timeSeconds: 60, probes: 2 }

  it('is asked for where a connection goes out as it is', async () => {
    const endpoints = { kind: 'dns', hosts: [listener.address], dnsTtlMs: 60_000 } as const
    configure({ endpoints, tcpKeepalive })
    await echoed('hi')
    expect(network.keepalives).toEqual([undefined, tcpKeepalive])
  })

  it('is nobody’s business inside a tunnel', async () => {
    configure({ tcpKeepalive })
    await echoed('hi')
    expect(network.keepalives).toEqual([undefined, undefined])
  })
})
