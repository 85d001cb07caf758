import type { ByteSink, ByteStream, Transport, TunnelSession } from '@ambient-lab/dataplane'
import { AccessLog, type AccessOutcome, type AccessRecord, silentLogger } from '@ambient-lab/telemetry'
import { ADDRESS_TYPE, AUTHORIZATION_TYPE } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import type { CheckerName } from './checkers/fail.ts'
import { type Mutations, UNBROKEN } from './mutations.ts'
import { keepOf } from './replay.ts'
import { examine } from './shrink.ts'
import { SimulationError, simulate } from './simulation.ts'

/** Enough for each mutation to meet a seed in which it does harm. */
const SEEDS = 25

const MUTATIONS: readonly [string, CheckerName, Partial<Mutations>][] = [
  ['a tunnel that changes a byte', 'bytes', { transport: (inner) => tunnelsWith(inner, changedByte) }],
  ['a tunnel that loses what is long', 'bytes', { transport: (inner) => tunnelsWith(inner, lostTail) }],
  [
    'a node that acknowledges policies and ignores them',
    'policy',
    { upserts: (typeUrl, upserts) => (typeUrl === AUTHORIZATION_TYPE ? [] : upserts) },
  ],
  [
    'a log that tells of connections twice',
    'records',
    {
      accessLog: (inner) =>
        new AlteredLog(inner, (record, outcome) => {
          inner.complete(record, outcome)
          inner.complete(record, outcome)
        }),
    },
  ],
  ['a log that loses connections', 'records', { accessLog: (inner) => new AlteredLog(inner, () => {}) }],
  [
    'a log that names another caller',
    'identity',
    {
      accessLog: (inner) =>
        new AlteredLog(inner, (record, outcome) => {
          const source = { ...record.source, identity: 'spiffe://cluster.local/ns/default/sa/mallory' }
          inner.complete({ ...record, source }, outcome)
        }),
    },
  ],
  [
    'a node that acknowledges workloads and forgets them',
    'convergence',
    { upserts: (typeUrl, upserts) => (typeUrl === ADDRESS_TYPE ? upserts.slice(1) : upserts) },
  ],
  [
    'a ztunnel that leaves everything open',
    'closed',
    {
      ztunnel: (ztunnel) =>
        Object.assign(ztunnel, { drain: async () => {}, [Symbol.asyncDispose]: async () => {} }) && undefined,
    },
  ],
  [
    'an agent that meets a bug',
    'crash',
    {
      upserts: () => {
        throw new Error('a bug')
      },
    },
  ],
]

describe('the checkers', () => {
  it.each(MUTATIONS)('find %s (%s)', { timeout: 60_000 }, async (_, checker, mutation) => {
    expect(await firstFailure({ ...UNBROKEN, ...mutation })).toMatchObject({ checker })
  })
})

describe('a seed that fails', () => {
  it('is shrunk to what it takes, and says how to see it again', { timeout: 60_000 }, async () => {
    const mutations = { ...UNBROKEN, transport: (inner: Transport) => tunnelsWith(inner, changedByte) }
    const { seed, scenario } = (await firstFailure(mutations))!
    const smallest = await examine({ seed, mutations }).catch((error: SimulationError) => error)
    const [, kept] = /AMBIENT_SEED=\d+ AMBIENT_SEEDS=1 AMBIENT_KEEP=(\S+) npx vitest/.exec(String(smallest)) ?? []
    const keep = keepOf(kept!.split(','))
    expect(keep.faults.size).toBe(0)
    expect(keep.connections.size).toBeLessThan(scenario.connections)
    await expect(simulate({ seed, mutations, keep })).rejects.toMatchObject({ checker: 'bytes' })
  })
})

async function firstFailure(mutations: Mutations): Promise<SimulationError | undefined> {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    try {
      await simulate({ seed, mutations })
    } catch (error) {
      if (error instanceof SimulationError) return error
      throw error
    }
  }
  return undefined
}

class AlteredLog extends AccessLog {
  readonly #inner: AccessLog
  readonly #complete: (record: AccessRecord, outcome: AccessOutcome) => void

  constructor(inner: AccessLog, complete: (record: AccessRecord, outcome: AccessOutcome) => void) {
    super(silentLogger())
    this.#inner = inner
    this.#complete = complete
  }

  override complete(record: AccessRecord, outcome: AccessOutcome): void {
    this.#complete(record, outcome)
  }

  override failed(denied: Parameters<AccessLog['failed']>[0]): void {
    this.#inner.failed(denied)
  }
}

function changedByte(chunk: Uint8Array): Uint8Array {
  const changed = chunk.slice()
  changed[0]! ^= 1
  return changed
}

function lostTail(chunk: Uint8Array): Uint8Array {
  return chunk.subarray(0, 1000)
}

/** Tunnels that do something to what comes back through them. */
function tunnelsWith(transport: Transport, alter: (chunk: Uint8Array) => Uint8Array): Transport {
  return {
    listen: (options, onSession) => transport.listen(options, onSession),
    dialOver: (carrier, target, signal) => transport.dialOver(carrier, target, signal),
    dial: async (target, signal) => {
      const session = await transport.dial(target, signal)
      const connect: TunnelSession['connect'] = async (request, giveUp) => {
        const connected = await session.connect(request, giveUp)
        return { ...connected, stream: streamWith(connected.stream, alter) }
      }
      return replaced(session, { connect })
    },
  }
}

function streamWith(stream: ByteStream, alter: (chunk: Uint8Array) => Uint8Array): ByteStream {
  const start = (sink: ByteSink) =>
    stream.start({
      onData: (chunk) => sink.onData(alter(chunk)),
      onEnd: () => sink.onEnd(),
      onDrain: () => sink.onDrain(),
      onClose: (reason) => sink.onClose(reason),
    })
  return replaced(stream, { start })
}

/** The same object but for some of its members. */
function replaced<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (key in members) return members[key as keyof T]
      const value = target[key as keyof T]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
