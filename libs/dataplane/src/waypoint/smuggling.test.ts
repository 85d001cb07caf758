import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { type LlhttpMessage, readWithLlhttp } from '@ambient-lab/testing'
import { expect, it } from 'vitest'
import { mutatedRequests, mutatedResponses } from '../http1/mutated-messages.conformance.ts'
import { MemoryPlainNetwork } from '../memory-plain-network.ts'
import { MemoryNetwork, MemoryTransport } from '../tunnel/memory-transport.ts'
import type { Ground } from '../ztunnel/two-nodes.conformance.ts'
import type { ReceivedRequest } from './http-server.conformance.ts'
import { MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'

/** Some seconds. `HTTP1_FUZZ_RUNS` and `HTTP1_FUZZ_SEED` are for longer nights. */
const RUNS = Number(process.env.HTTP1_FUZZ_RUNS ?? 200)
const SEED = Number(process.env.HTTP1_FUZZ_SEED ?? 1)
const LIMIT_MS = 600_000

/** The whole way: a client's bytes, a waypoint, the bytes that a backend gets, read by a parser that is not ours. */
it(`a waypoint forwards what llhttp reads in a client's bytes, and nothing else (seed ${SEED})`, async () => {
  const mesh = new MeshWithWaypoint(memoryGround())
  await mesh.start()
  mesh.proxy({ pathNormalization: 'NONE' })
  let arrived: ReceivedRequest[] = []
  let forwarded = 0
  for (const server of mesh.servers) {
    server.handler = (request) => {
      arrived.push(request)
      return { body: 'ok' }
    }
  }
  for (let run = 0; run < RUNS; run += 1) {
    const input = mutatedRequests(new SeededRandom(SEED).fork(String(run)))
    const program = await mesh.dial()
    program.stream.write(Buffer.from(input, 'latin1'))
    program.stream.end()
    await mesh.ground.until(() => program.ended || program.closed)
    const sent = readWithLlhttp('request', Buffer.from(input, 'latin1')).messages
    const what = `run ${run} of seed ${SEED}: ${JSON.stringify(input)}`
    expect(strangers(arrived, sent), what).toEqual([])
    forwarded += arrived.length
    arrived = []
  }
  for (const { received } of mesh.servers.flatMap(({ connections }) => connections)) {
    expect(readWithLlhttp('request', Buffer.concat(received)).error).toBeUndefined()
  }
  const read = mesh.servers.flatMap(({ connections }) => connections.flatMap(({ received }) => completeIn(received)))
  expect(read).toHaveLength(forwarded)
  expect(forwarded).toBeGreaterThan(RUNS / 6)
  await mesh.stop()
})

it(`a client gets what llhttp reads in a backend's bytes, or a refusal, and nothing else (seed ${SEED})`, async () => {
  const mesh = new MeshWithWaypoint(memoryGround())
  await mesh.start()
  let forwarded = 0
  for (let run = 0; run < RUNS; run += 1) {
    const output = Buffer.from(mutatedResponses(new SeededRandom(SEED).fork(`response ${run}`)), 'latin1')
    for (const server of mesh.servers) {
      server.handler = ({ connection: { stream } }) => {
        stream.write(output)
        stream.end()
        return 'silence'
      }
    }
    const program = await mesh.dial()
    program.say('GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n')
    await mesh.ground.until(() => program.ended || program.closed)
    const what = `run ${run} of seed ${SEED}: ${JSON.stringify(output.toString('latin1'))}`
    const { messages, error } = readWithLlhttp('response', program.received, { isEnded: program.ended })
    const [answer, more] = messages
    expect([error, more], what).toEqual([undefined, undefined])
    // A response that breaks off cuts the connection, and what was on the way.
    if (answer === undefined) expect(program.reason, what).toBeDefined()
    if (answer === undefined || answer.body.startsWith('upstream connect error')) continue
    const sent = readWithLlhttp('response', output, { isEnded: true }).messages.find(
      ({ line }) => !line.startsWith('1'),
    )
    expect(answer.line.slice(0, 3), what).toBe(sent?.line.slice(0, 3))
    if (answer.end === undefined) expect(sent!.body.startsWith(answer.body), what).toBe(true)
    else expect(answer.body, what).toBe(sent!.body)
    forwarded += 1
  }
  expect(forwarded).toBeGreaterThan(RUNS / 6)
  await mesh.stop()
})

/** Those that are not, one after the other, among what the client sent. */
function strangers(arrived: readonly ReceivedRequest[], sent: readonly LlhttpMessage[]): string[] {
  let next = 0
  return arrived.flatMap(({ head: { method, path }, body }) => {
    for (; next < sent.length; next += 1) {
      const { line, body: sentBody } = sent[next]!
      if (!isLineOf(line, method, path) || sentBody !== body.toString('latin1')) continue
      next += 1
      return []
    }
    return [`${method} ${path} ${body}`]
  })
}

/** A target with a scheme arrives as its path; of OPTIONS, without a path, as an asterisk. */
function isLineOf(line: string, method: string, path: string): boolean {
  const target = line.slice(method.length + 1)
  const [, pathOfUri] = /^https?:\/\/[^/]+(.*)$/i.exec(target) ?? []
  const arrives = pathOfUri === undefined ? target : pathOfUri || (method === 'OPTIONS' ? '*' : '/')
  return line.startsWith(`${method} `) && arrives === path
}

function completeIn(received: readonly Uint8Array[]): readonly LlhttpMessage[] {
  return readWithLlhttp('request', Buffer.concat(received)).messages.filter(({ end }) => end !== undefined)
}

function memoryGround(): Ground {
  const clock = new VirtualClock()
  const network = new MemoryNetwork()
  return {
    clock,
    network: new MemoryPlainNetwork({ clock }),
    transport: (svids) => new MemoryTransport({ network, clock, svids }),
    until: async (condition) => {
      expect(await clock.advanceUntil(condition, LIMIT_MS)).toBe(true)
    },
  }
}
