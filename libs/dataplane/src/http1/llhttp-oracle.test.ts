import { type Random, SeededRandom } from '@ambient-lab/std'
import { type LlhttpMessage, readWithLlhttp } from '@ambient-lab/testing'
import { expect, it } from 'vitest'
import { mutatedRequests, mutatedResponses } from './mutated-messages.conformance.ts'
import {
  BYTE_BY_BYTE,
  type Cut,
  type RecordedMessage,
  type Recording,
  recordRequests,
  recordResponses,
  WHOLE,
} from './recorder.conformance.ts'

/** A second for each direction on a quiet machine. `HTTP1_FUZZ_RUNS` and `HTTP1_FUZZ_SEED` are for longer nights. */
const RUNS = Number(process.env.HTTP1_FUZZ_RUNS ?? 4_000)
const SEED = Number(process.env.HTTP1_FUZZ_SEED ?? 1)

it(`requests: never more than llhttp, never otherwise (seed ${SEED})`, () => {
  check('request', mutatedRequests, recordRequests)
})

it(`responses: never more than llhttp, never otherwise (seed ${SEED})`, () => {
  check('response', mutatedResponses, (input, cut, isEnded) =>
    recordResponses(input, cut, isEnded, { method: 'GET', upgrade: true }),
  )
})

function check(
  direction: 'request' | 'response',
  generate: (random: Random) => string,
  record: typeof recordRequests,
): void {
  let taken = 0
  for (let run = 0; run < RUNS; run += 1) {
    const random = new SeededRandom(SEED).fork(`${direction} ${run}`)
    const input = generate(random)
    const isEnded = random.integer(2) === 0
    const ours = record(input, BYTE_BY_BYTE, isEnded)
    const same = (got: unknown, want: unknown) => {
      if (JSON.stringify(got) === JSON.stringify(want)) return
      expect(got, `run ${run} of seed ${SEED}: ${JSON.stringify(input)}`).toEqual(want)
    }
    const cuts: Cut[] = [WHOLE, (left) => random.integer(Math.min(left, 40)) + 1]
    for (const cut of cuts) same(withoutPositions(record(input, cut, isEnded)), withoutPositions(ours))
    const theirs = readWithLlhttp(direction, Buffer.from(input, 'latin1'), { isEnded })
    const isRefused = ours.error !== undefined
    same(
      ours.messages.map(told),
      ours.messages.map((one, index) => theirs.messages[index] && agreed(theirs.messages[index], one, isRefused)),
    )
    if (ours.rest !== undefined)
      same(ours.rest, theirs.switchedAt === undefined ? undefined : input.slice(theirs.switchedAt))
    taken += ours.messages.filter(({ end }) => end !== undefined).length
  }
  // The generator is worth something only while much of it is taken.
  expect(taken).toBeGreaterThan(RUNS / 6)
}

function told({ line, headers, body, end }: RecordedMessage): LlhttpMessage {
  return { line, headers, body, end }
}

/**
 * What we change on purpose: a length is a plain number, and not there where no body can be; a target with an
 * authority names the host.
 */
function agreed({ headers, ...theirs }: LlhttpMessage, ours: RecordedMessage, isRefused: boolean): LlhttpMessage {
  const { head } = ours
  const isStricter = isRefused && ours.end === undefined && theirs.body.startsWith(ours.body)
  const isBodiless = 'status' in head && (head.status < 200 || head.status === 204)
  const kept = headers.filter(([name]) => !(name === 'content-length' && isBodiless))
  const changed = kept.map(([name, value]): [string, string] => {
    if (name === 'content-length') return [name, String(Number(value))]
    return [name, name === 'host' && 'authority' in head ? head.authority : value]
  })
  const hasAuthority = 'method' in head && (head.method === 'CONNECT' || head.scheme !== undefined)
  if (hasAuthority && !changed.some(([name]) => name === 'host')) changed.push(['host', head.authority])
  return { ...theirs, headers: changed, ...(isStricter && { body: ours.body, end: undefined }) }
}

function withoutPositions({ messages, error, rest }: Recording) {
  return {
    messages: messages.map(({ headEnd: _, end, head, ...others }) => ({ ...others, ends: end !== undefined })),
    error: error?.code,
    rest,
  }
}
