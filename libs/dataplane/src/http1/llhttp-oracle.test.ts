import { type Random, SeededRandom } from '@ambient-lab/std'
import { type LlhttpMessage, readWithLlhttp } from '@ambient-lab/testing'
import { expect, it } from 'vitest'
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

const METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'CONNECT', 'DELETE', 'M-SEARCH', 'QUERY', 'PRI', 'get', 'FOO']
const TARGETS = [
  '/',
  '/a?b=c',
  '*',
  'http://a.test/x',
  'HTTP://a:80',
  'a.test:443',
  '/a#b',
  '/"\\|',
  '//x',
  '/\x80',
  'x',
]
const VERSIONS = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'RTSP/1.0', 'http/1.1']
const STATUS_LINES = [
  '200 OK',
  '200 OK',
  '204 No',
  '304 Not',
  '100 Go',
  '103 Early',
  '101 Sw',
  '404',
  '200 ',
  '99 X',
  '500 a\tb',
]
const FIELDS = [
  ['Host', 'a.test', 'a.test', 'a.test:80', '', '[::1]:80', 'a b', 'a@b'],
  ['Content-Length', '0', '3', '5', '003', '+3', '3,3', '3 3', '', '99999999999999999999', '0x3'],
  [
    'Transfer-Encoding',
    'chunked',
    'Chunked',
    'gzip, chunked',
    'chunked, chunked',
    'identity',
    'chunked;a=b',
    ' chunked\t',
    '',
  ],
  [
    'Connection',
    'close',
    'keep-alive',
    'upgrade',
    'Close , x',
    'close;',
    'keep-alive, upgrade',
    'closed',
    'upgrade, close',
    ',',
  ],
  ['Proxy-Connection', 'close', 'keep-alive'],
  ['Upgrade', 'websocket', 'h2c', ''],
  ['Expect', '100-continue', 'x'],
  ['X-A', 'b', '', '\xff\x80', 'a\tb', '  a  '],
  ['Keep-Alive', 'timeout=5'],
] as const
const BODIES = [
  ...[
    '',
    '',
    'abc',
    'hello',
    '0\r\n\r\n',
    '3\r\nabc\r\n0\r\n\r\n',
    '5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n',
    'a\r\n0123456789\r\n00\r\n\r\n',
  ],
  ...[
    '3;a="b;\\"c"\r\nabc\r\n0\r\n\r\n',
    '3 \r\nabc\r\n0\r\n\r\n',
    '3\r\nabcd\r\n0\r\n\r\n',
    '0\r\nContent-Length: 3\r\n\r\nabc',
  ],
  ...[
    '0\r\nTransfer-Encoding: chunked\r\n\r\n',
    '0\r\nConnection: close\r\n\r\n',
    '0;\r\n\r\n',
    '0;a\r\n\r\n',
    '0;a=\r\n\r\n',
  ],
]
const SPLICES = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\0',
  ':',
  ';',
  ',',
  '0',
  'a',
  '\x7f',
  '\x80',
  '"',
  'HTTP/1.1',
  '\r\n\r\n',
  'Host: b\r\n',
]

it(`requests: never more than llhttp, never otherwise (seed ${SEED})`, () => {
  check('request', requestLine, recordRequests)
})

it(`responses: never more than llhttp, never otherwise (seed ${SEED})`, () => {
  check('response', statusLine, (input, cut, isEnded) =>
    recordResponses(input, cut, isEnded, { method: 'GET', upgrade: true }),
  )
})

function check(
  direction: 'request' | 'response',
  firstLine: (random: Random) => string,
  record: typeof recordRequests,
): void {
  let taken = 0
  for (let run = 0; run < RUNS; run += 1) {
    const random = new SeededRandom(SEED).fork(`${direction} ${run}`)
    const count = 1 + random.integer(3)
    const input = mutate(random, Array.from({ length: count }, () => message(random, firstLine)).join(''))
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

function requestLine(random: Random): string {
  const usual = random.integer(5) > 0
  return usual
    ? `${random.pick(METHODS.slice(0, 5))} ${random.pick(TARGETS.slice(0, 2))} HTTP/1.1`
    : `${random.pick(METHODS)} ${random.pick(TARGETS)} ${random.pick(VERSIONS)}`
}

function statusLine(random: Random): string {
  return `${random.pick(random.integer(6) > 0 ? VERSIONS.slice(0, 4) : VERSIONS)} ${random.pick(random.integer(2) > 0 ? STATUS_LINES.slice(0, 2) : STATUS_LINES)}`
}

function message(random: Random, firstLine: (random: Random) => string): string {
  const fields = random.integer(8) > 0 ? ['Host: a.test'] : []
  for (let count = random.integer(4); count > 0; count -= 1) {
    const [name, ...values] = random.pick(FIELDS)
    fields.push(
      `${random.integer(4) === 0 ? name.toLowerCase() : name}:${random.pick(['', ' ', ' ', '\t '])}${random.pick<string>(random.integer(4) > 0 ? values.slice(0, 2) : values)}`,
    )
  }
  const body = random.pick(BODIES)
  if (/^[0-9a-f]+[\r; ]/.test(body) && random.integer(4) > 0) fields.push('Transfer-Encoding: chunked')
  else if (body !== '' && random.integer(4) > 0) fields.push(`Content-Length: ${body.length}`)
  return `${firstLine(random)}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n${body}`
}

/** None, or one to three small accidents. */
function mutate(random: Random, input: string): string {
  let text = input
  for (let count = Math.max(0, random.integer(8) - 4); count > 0; count -= 1) {
    const at = random.integer(text.length + 1)
    const breaks = [...text.matchAll(/\r\n/g)]
    switch (random.integer(5)) {
      case 0:
        text = text.slice(0, at) + random.pick(SPLICES) + text.slice(at)
        break
      case 1:
        text = text.slice(0, at) + text.slice(at + 1 + random.integer(3))
        break
      case 2:
        text = text.slice(0, at) + String.fromCharCode(random.integer(256)) + text.slice(at + 1)
        break
      case 3: {
        if (breaks.length === 0) break
        const { index } = random.pick(breaks)
        text =
          text.slice(0, index) +
          random.pick(['\r', '\n', '\r\r\n', '\n\r', '\r\n ', '\r\n\t', ' \r\n', '\r\n\r\n']) +
          text.slice(index + 2)
        break
      }
      default: {
        const lines = text.split('\r\n')
        const line = random.integer(lines.length)
        lines.splice(random.integer(lines.length), 0, lines[line]!)
        text = lines.join('\r\n')
      }
    }
  }
  return text
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
