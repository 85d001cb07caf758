import { allOf, same } from '../expectation.ts'
import { type LlhttpEvent, type LlhttpReading, readEvents } from '../http1/llhttp-events.ts'
import { type Direction, latin1, type Message, type Observation, observe } from '../http1/observe.ts'
import { STRICTER } from '../http1/stricter.ts'
import { type CorpusCase, defineJudge, failed, PASSED, skipped, type Verdict } from '../judge.ts'

export interface LlhttpCase extends CorpusCase {
  /** `request`, `response`, `url`, and these with a flag of leniency: `request-lenient-headers`. */
  readonly kind: string
  readonly input?: string
  readonly inputBase64?: string
  readonly events: readonly LlhttpEvent[]
  readonly error: { readonly offset: number; readonly code: number } | null
}

const PAUSED_UPGRADE = 22
const HOST = 'Host: example.test\r\n'
const EMPTY_LINE = Buffer.from('\r\n')

/** llhttp's own tests: never accept what it refuses, never frame a message differently. */
export default defineJudge<LlhttpCase>({
  corpus: 'http1-llhttp',
  judge(item) {
    const [direction = '', ...flags] = item.kind.split('-')
    const input = Buffer.from(item.inputBase64 ?? item.input ?? '', item.inputBase64 ? 'base64' : 'latin1')
    if (direction === 'url') return judgeUrl(latin1(input), item.error !== null)
    if (direction !== 'request' && direction !== 'response') return skipped(`no judge for kind "${item.kind}"`)
    const reading = readEvents(input, item.events)
    if (flags.includes('lenient')) return judgeLenient(direction, input, reading)
    return judgeStrict(item, direction, input, reading)
  },
})

/** A request without Host is refused as it is; with one it says what the case is about. */
function judgeStrict(item: LlhttpCase, direction: Direction, input: Uint8Array, reading: LlhttpReading): Verdict {
  if (reading.hostless.length === 0) return judgeMessages(item, direction, input, reading)
  if (observe(direction, input, 1).error === undefined) return failed('want a request without Host refused')
  const withHost = insertHosts(input, reading)
  return judgeMessages(item, direction, withHost.input, withHost.reading)
}

function judgeMessages(item: LlhttpCase, direction: Direction, input: Uint8Array, reading: LlhttpReading): Verdict {
  const isEnded = reading.finish !== undefined
  const observation = observe(direction, input, 1, isEnded)
  const splits = allOf(...[2, 3, 7, input.length].map((step) => () => sameAtAnySplit(direction, input, step, isEnded)))
  if (splits.result !== 'passed') return splits
  const stricter = STRICTER[item.id]
  if (stricter) return same(observation.error, stricter.code)
  const { error, rest, messages } = observation
  if (item.error?.code === PAUSED_UPGRADE) {
    return allOf(
      sameMessages(messages, reading.messages),
      same({ error, rest }, { rest: latin1(input.subarray(reading.messages.at(-1)!.end)) }),
    )
  }
  if (item.error) return judgeRefusal(direction, input, reading)
  return allOf(sameMessages(messages, reading.messages), () => judgeFinish(observation, reading))
}

/**
 * Refused with an error, or not read at all because the message before said that it was the last. What fields say
 * together is judged when the head is complete, so that an input which ends before gets its empty line.
 */
function judgeRefusal(direction: Direction, input: Uint8Array, reading: LlhttpReading): Verdict {
  const { messages, error, closed } = observe(direction, Buffer.concat([input, EMPTY_LINE]), 1)
  if (error === undefined && !closed) return failed(`want it refused\ngot  ${JSON.stringify(messages)}`)
  const complete = ({ end }: Message) => end !== undefined
  return sameMessages(messages.filter(complete), reading.messages.filter(complete))
}

function judgeFinish({ error, messages }: Observation, { finish }: LlhttpReading): Verdict {
  if (finish === 'unsafe') return same(error, 'MESSAGE_INCOMPLETE')
  if (finish === 'safe-with-callback' && messages.at(-1)?.end === undefined) return failed('the end ends the message')
  return same(error, undefined)
}

/** What llhttp takes when it is told to be lenient shows what we must not take. */
function judgeLenient(direction: Direction, input: Uint8Array, reading: LlhttpReading): Verdict {
  const withHost = insertHosts(input, reading)
  const { messages, error, closed } = observe(direction, withHost.input, 1)
  const isTakenWhole =
    error === undefined && !closed && sameMessages(messages, withHost.reading.messages).result === 'passed'
  return isTakenWhole ? failed(`want it refused\ngot  ${JSON.stringify(messages)}`) : PASSED
}

function judgeUrl(url: string, isWrong: boolean): Verdict {
  const input = Buffer.from(`GET ${url} HTTP/1.1\r\n${HOST}\r\n`, 'latin1')
  const { error, messages } = observe('request', input, 1)
  if (isWrong) return error === undefined ? failed(`want it refused\ngot  ${JSON.stringify(messages)}`) : PASSED
  return same(messages[0]?.line, `GET ${url}`)
}

/** Messages, bodies and where each ends. We alone drop trailers that may not be there, and let the target name the host. */
function sameMessages(got: readonly Message[], want: readonly Message[]): Verdict {
  const lacking = want.map((message, index) => ({
    ...message,
    headers: withHostOfTarget(message),
    trailers: message.trailers.filter(([name]) => got[index]?.trailers.some(([other]) => other === name)),
    end: message.end ?? (got[index]?.end === message.headEnd ? message.headEnd : undefined),
  }))
  return same(got, lacking)
}

function withHostOfTarget({ line, headers }: Message): Message['headers'] {
  const host = /^CONNECT (.*)$/.exec(line)?.[1] ?? /^\S+ https?:\/\/([^/?]+)/i.exec(line)?.[1]
  if (host === undefined) return headers
  const at = headers.findIndex(([name]) => name === 'host')
  return at < 0 ? [...headers, ['host', host]] : headers.with(at, ['host', host])
}

function sameAtAnySplit(direction: Direction, input: Uint8Array, step: number, isEnded: boolean): Verdict {
  return same(
    withoutPositions(observe(direction, input, step, isEnded)),
    withoutPositions(observe(direction, input, 1, isEnded)),
  )
}

function withoutPositions({ messages, ...others }: Observation) {
  return {
    ...others,
    messages: messages.map(({ headEnd: _, end, ...message }) => ({ ...message, ends: end !== undefined })),
  }
}

/** The same input with a Host in each request that lacks one, and what llhttp would read then. */
function insertHosts(input: Uint8Array, reading: LlhttpReading): { input: Uint8Array; reading: LlhttpReading } {
  const { hostless } = reading
  const cuts = hostless.map(({ lineEnd }) => lineEnd)
  const parts = [0, ...cuts].map((start, index) => latin1(input.subarray(start, cuts[index])))
  const shift = (offset: number) => offset + HOST.length * cuts.filter((cut) => cut <= offset).length
  const messages = reading.messages.map((message, index) => ({
    ...message,
    headers: hostless.some((other) => other.index === index)
      ? [['host', 'example.test'] as const, ...message.headers]
      : message.headers,
    headEnd: shift(message.headEnd),
    ...(message.end !== undefined && { end: shift(message.end) }),
  }))
  return { input: Buffer.from(parts.join(HOST), 'latin1'), reading: { ...reading, messages } }
}
