import { VirtualClock } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { AccessLog, type AccessRecord } from './access-log.ts'
import { Logging, silentLogger } from './log.ts'
import { formatJson, formatText, unquoted } from './log-format.ts'

const TIME_MS = Date.UTC(2026, 10, 23, 9, 59, 5, 28)

function setUp(init: ConstructorParameters<typeof Logging>[0]['init'] = {}) {
  const lines: string[] = []
  const clock = new VirtualClock({ startMs: TIME_MS })
  const logging = new Logging({ components: { clock, sink: (line) => lines.push(line) }, init })
  return { logging, lines }
}

describe('line', () => {
  const record = { timeMs: TIME_MS, level: 'info', target: 'state', message: 'hello' }

  test('has tabs between its parts, and one behind the message without fields', () => {
    expect(formatText(record)).toBe('2026-11-23T09:59:05.028000Z\tinfo\tstate\thello\t\n')
  })

  test('quotes strings, and neither numbers nor addresses', () => {
    const fields = { a: 'x y', n: 3, big: 4n, yes: true, addr: unquoted('10.0.0.1:80'), gone: undefined, last: '' }
    expect(formatText({ ...record, fields })).toBe(
      '2026-11-23T09:59:05.028000Z\tinfo\tstate\thello\ta="x y" n=3 big=4 yes=true addr=10.0.0.1:80 last=""\n',
    )
  })

  test.each([
    ['say "no"', '"say \\"no\\""'],
    ['back\\slash', '"back\\\\slash"'],
    ['two\nlines\tand\r\0', '"two\\nlines\\tand\\r\\0"'],
    ['\u001b[31m\u2028', '"\\u{1b}[31m\\u{2028}"'],
    ["it's über", '"it\'s über"'],
  ])('escapes %j as Rust does', (value, written) => {
    expect(formatText({ ...record, fields: { value } }).endsWith(`\tvalue=${written}\n`)).toBe(true)
  })

  test('is one line, whatever is logged', () => {
    const evil = 'a\n2026-01-01T00:00:00Z\tinfo\taccess\tforged'
    expect(formatText({ ...record, message: evil, fields: { a: evil, b: unquoted(evil) } }).match(/\n/g)).toHaveLength(
      1,
    )
  })

  test('cuts what is too long', () => {
    expect(formatText({ ...record, fields: { a: 'x'.repeat(10_000) } }).length).toBeLessThan(4300)
  })

  test('as JSON is flat', () => {
    const fields = { 'src.addr': unquoted('10.0.0.1:80'), n: 1, big: 2n, gone: undefined }
    expect(formatJson({ ...record, fields })).toBe(
      '{"level":"info","time":"2026-11-23T09:59:05.028000Z","scope":"state","message":"hello","src.addr":"10.0.0.1:80","n":1,"big":2}\n',
    )
  })
})

describe('levels', () => {
  test('are for everything, for one scope and its children, changed while running', () => {
    const { logging, lines } = setUp()
    const [tunnel, pool, other] = ['tunnel', 'tunnel::pool', 'tunnelling'].map((target) => logging.logger(target))
    logging.setLevels('tunnel:debug')
    for (const logger of [tunnel, pool, other]) logger!.debug('seen')
    expect(lines.map((line) => line.split('\t')[2])).toEqual(['tunnel', 'tunnel::pool'])
    expect(logging.levels).toBe('tunnel=debug,info')
    logging.setLevels('tunnel::pool=off')
    expect([tunnel!.enabled('debug'), pool!.enabled('error')]).toEqual([true, false])
    logging.setLevels('warn')
    expect([logging.levels, tunnel!.enabled('info'), pool!.enabled('warn')]).toEqual(['warn', false, true])
    logging.reset()
    expect([logging.levels, tunnel!.enabled('info')]).toEqual(['info', true])
  })

  test('start as told', () => {
    expect(setUp({ levels: 'xds:trace,error' }).logging.levels).toBe('xds=trace,error')
  })

  test.each(['', 'loud', 'a:b:loud', ':debug', 'a b:debug', 'info,debug', 'x:info,loud', `${'s:info,'.repeat(2)}`])(
    'are refused when they are %j, and stay',
    (specification) => {
      const { logging } = setUp({ levels: 'access:debug,warn' })
      expect(() => logging.setLevels(specification)).toThrow(expect.objectContaining({ code: 'LOG_LEVEL_INVALID' }))
      expect(logging.levels).toBe('access=debug,warn')
    },
  )

  test('one logger for one scope; every level has its method; silence is possible', () => {
    const { logging, lines } = setUp({ levels: 'trace' })
    const logger = logging.logger('a')
    expect(logging.logger('a')).toBe(logger)
    for (const level of ['error', 'warn', 'info', 'debug', 'trace'] as const) logger[level](level)
    expect(lines.map((line) => line.split('\t')[1])).toEqual(['error', 'warn', 'info', 'debug', 'trace'])
    expect(silentLogger().enabled('error')).toBe(false)
  })
})

describe('access log', () => {
  const record: AccessRecord = {
    source: {
      addr: '10.244.0.10:33774',
      workload: 'curl-abc',
      namespace: 'default',
      identity: 'spiffe://cluster.local/ns/default/sa/curl',
      cluster: 'Kubernetes',
    },
    destination: {
      addr: '10.244.1.9:15008',
      hboneAddr: '10.244.1.9:9080',
      service: 'reviews.default.svc.cluster.local',
      workload: 'reviews-v1-abc',
      namespace: 'default',
      identity: 'spiffe://cluster.local/ns/default/sa/reviews',
      cluster: 'Kubernetes',
    },
    direction: 'outbound',
  }
  const ends =
    'src.addr=10.244.0.10:33774 src.workload="curl-abc" src.namespace="default" ' +
    'src.identity="spiffe://cluster.local/ns/default/sa/curl" src.cluster="Kubernetes" ' +
    'dst.addr=10.244.1.9:15008 dst.hbone_addr=10.244.1.9:9080 dst.service="reviews.default.svc.cluster.local" ' +
    'dst.workload="reviews-v1-abc" dst.namespace="default" ' +
    'dst.identity="spiffe://cluster.local/ns/default/sa/reviews" dst.cluster="Kubernetes" direction="outbound"'
  const outcome = { bytesSent: 81, bytesReceived: 1024, durationMs: 13.9 }
  const line = (level: string, message: string, fields: string) =>
    `2026-11-23T09:59:05.028000Z\t${level}\taccess\t${message}\t${fields}\n`

  test('writes opened at debug, complete at info, or at error with its reason', () => {
    const { logging, lines } = setUp({ levels: 'debug' })
    const log = new AccessLog(logging.logger('access'))
    log.opened(record)
    log.complete(record, outcome)
    log.complete(record, { ...outcome, error: 'http status: 401 Unauthorized' })
    const counts = 'bytes_sent=81 bytes_recv=1024 duration="13ms"'
    expect(lines).toEqual([
      line('debug', 'connection opened', ends),
      line('info', 'connection complete', `${ends} ${counts}`),
      line('error', 'connection complete', `${ends} ${counts} error="http status: 401 Unauthorized"`),
    ])
  })

  test('leaves out what is not known, and knows little of an early denial', () => {
    const { logging, lines } = setUp()
    const log = new AccessLog(logging.logger('access'))
    log.opened(record)
    log.complete({ source: { addr: 'a:1' }, destination: { addr: 'b:2' }, direction: 'inbound' }, outcome)
    log.failed({ sourceAddr: 'a:1', destinationAddr: 'b:2', direction: 'inbound', error: 'unknown source' })
    expect(lines).toEqual([
      line(
        'info',
        'connection complete',
        'src.addr=a:1 dst.addr=b:2 direction="inbound" bytes_sent=81 bytes_recv=1024 duration="13ms"',
      ),
      line('warn', 'connection failed', 'src.addr=a:1 dst.addr=b:2 direction="inbound" error="unknown source"'),
    ])
  })
})
