import type { Random } from '@ambient-lab/std'

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

/** One to three requests as a client may send them in a row, right or with a few small accidents; Latin-1. */
export function mutatedRequests(random: Random): string {
  return mutatedMessages(random, requestLine)
}

/** The same for responses. */
export function mutatedResponses(random: Random): string {
  return mutatedMessages(random, statusLine)
}

function mutatedMessages(random: Random, firstLine: (random: Random) => string): string {
  const count = 1 + random.integer(3)
  return mutate(random, Array.from({ length: count }, () => message(random, firstLine)).join(''))
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
