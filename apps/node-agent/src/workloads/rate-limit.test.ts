import { connect } from 'node:http2'
import { ProtoMessage, ProtoWriter } from '@ambient-lab/dataplane'
import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HostPort } from '../hosting/container.ts'
import { AppBench, type RunningApp } from '../test-kit/app-bench.ts'
import { type Descriptor, RateLimitConfig } from './_rate-limit-config.ts'
import { decodeRequest, encodeResponse, parseJsonRequest } from './_rate-limit-messages.ts'
import { type RateLimitResponse, RateLimitService, type RateLimitSettings } from './_rate-limit-service.ts'

const configOf = (text: string, merges = false) => RateLimitConfig.parse(new Map([['config.yaml', text]]), merges)

/** `a=1 b=2`: entries. */
function descriptor(text: string): Descriptor {
  const entries = text.split(' ').map((entry) => {
    const [key = '', value = ''] = entry.split('=')
    return { key, value }
  })
  return { entries }
}

describe('the limit that a descriptor meets', () => {
  const CONFIG = `
domain: d
descriptors:
  - key: database
    value: users
    rate_limit: { unit: second, requests_per_unit: 500 }
  - key: database
    rate_limit: { unit: second, requests_per_unit: 5 }
  - key: message_type
    value: marketing
    descriptors:
      - key: to_number
        rate_limit: { unit: day, requests_per_unit: 6 }
      - key: to_number
        value: 2061111111
        rate_limit: { unit: Day, requests_per_unit: 7 }
  - key: both
    value: 1
    rate_limit: { unit: hour, requests_per_unit: 8 }
    descriptors:
      - key: inner
        rate_limit: { unit: hour, requests_per_unit: 9 }
  - key: allowed
  - key: path
    value: /api/*
    rate_limit: { unit: minute, requests_per_unit: 10 }
  - key: path
    value: /api/v1*
    rate_limit: { unit: minute, requests_per_unit: 11 }
  - key: path
    value: "*/end"
    rate_limit: { unit: minute, requests_per_unit: 12 }
  - key: path
    value: a*b*a
    rate_limit: { unit: minute, requests_per_unit: 13 }
  - key: path
    value: /api/exact
    rate_limit: { unit: minute, requests_per_unit: 14 }
  - key: free
    rate_limit: { unlimited: true }
  - { key: word, value: yes, rate_limit: { unit: month, requests_per_unit: 15 } }
`
  test.each([
    ['database=users', 500],
    ['database=other', 5],
    ['database', 5],
    ['message_type=marketing to_number=1', 6],
    ['message_type=marketing to_number=2061111111', 7],
    ['message_type=marketing', undefined],
    ['message_type=other to_number=1', undefined],
    ['to_number=1', undefined],
    ['both=1', 8],
    ['both=1 inner=x', 9],
    ['both=1 inner=x more=y', undefined],
    ['database=users more=y', undefined],
    ['allowed=1', undefined],
    ['path=/api/x', 10],
    ['path=/api/v1/x', 10],
    ['path=/api/exact', 14],
    ['path=/other/end', 12],
    ['path=aba', 13],
    ['path=a-b-a', 13],
    ['path=ab', undefined],
    ['path=aa', undefined],
    ['path=/other', undefined],
    ['word=yes', 15],
    ['unknown=1', undefined],
  ])('%s: %s', async (text, expected) => {
    const config = await configOf(CONFIG)
    expect(config.limitOf('d', descriptor(text))?.limit.requestsPerUnit).toBe(expected)
    expect(config.limitOf('other', descriptor(text))).toBeUndefined()
  })

  test('unlimited is a limit without a unit; the caller’s own comes before all', async () => {
    const config = await configOf(CONFIG)
    expect(config.limitOf('d', descriptor('free=1'))?.limit).not.toHaveProperty('unit')
    const override = { requestsPerUnit: 3, unit: 'YEAR' } as const
    expect(config.limitOf('d', { ...descriptor('what=ever'), override })).toMatchObject({
      limit: override,
      key: 'd.what_ever',
    })
    expect(config.limitOf('other', { ...descriptor('what=ever'), override })).toBeUndefined()
  })

  test.each([
    ['nothing', '', 'database=users', 'd.a.database_x*'],
    ['detailed_metric', 'detailed_metric: true', 'database=xy', 'd.a_1.database_xy'],
    ['value_to_metric', 'value_to_metric: true', 'database=xy', 'd.a.database_xy'],
    ['share_threshold', 'share_threshold: true', 'database=xy', 'd.a.database_x*'],
    ['both', 'share_threshold: true, detailed_metric: true', 'database=xy', 'd.a_1.database_x*'],
  ])('with %s its statistics are called %s', async (_, flags, text, expected) => {
    const limit = 'rate_limit: { unit: second, requests_per_unit: 1 }'
    const inner = `{ key: database, value: x*, ${limit}${flags && `, ${flags}`} }`
    const config = await configOf(`{ domain: d, descriptors: [{ key: a, descriptors: [${inner}] }] }`)
    expect(config.limitOf('d', descriptor(`a=1 ${text.replace('users', 'xu')}`))?.key).toBe(expected)
  })

  test('/rlconfig lists every limit', async () => {
    const config = await configOf(CONFIG)
    expect(config.dump().split('\n').slice(0, 3)).toEqual([
      'd.database_users: unit=SECOND requests_per_unit=500, shadow_mode: false, quota_mode: false',
      'd.database: unit=SECOND requests_per_unit=5, shadow_mode: false, quota_mode: false',
      'd.message_type_marketing.to_number: unit=DAY requests_per_unit=6, shadow_mode: false, quota_mode: false',
    ])
  })
})

describe('a configuration that cannot be used is refused with file, descriptor and reason', () => {
  const one = (fields: string) => `{ domain: d, descriptors: [{ ${fields} }] }`
  test.each([
    ['domain: ""', 'config.yaml: config file cannot have empty domain'],
    ['', 'config.yaml: the file: config error, file is no map: null'],
    ['[]', 'config.yaml: the file: config error, file is no map: []'],
    ['domain: d\n  descriptors: x', /^config\.yaml: error loading config file: .* at line \d+, column \d+$/],
    ['{ domain: d, domain: e }', /^config\.yaml: error loading config file: Map keys must be unique/],
    ['{ domain: d, ratelimit: x }', "config.yaml: the file: config error, unknown key 'ratelimit'"],
    ['{ domain: d, descriptors: x }', 'config.yaml: d: config error, descriptors is no list: "x"'],
    ['{ domain: d, descriptors: [x] }', 'config.yaml: d: config error, descriptor is no map: "x"'],
    ['{ domain: [d] }', 'config.yaml: the file: config error, domain is no text: ["d"]'],
    [one('value: x'), 'config.yaml: d: descriptor has empty key'],
    [one('key: k }, { key: k'), "config.yaml: duplicate descriptor composite key 'd.k'"],
    [one('key: k, value: v }, { key: k_v'), "config.yaml: duplicate descriptor composite key 'd.k_v'"],
    [one('key: k, ratelimit: x'), "config.yaml: d: config error, unknown key 'ratelimit'"],
    [one('key: k, rate_limit: { unit: fortnight }'), "config.yaml: d.k: invalid rate limit unit 'fortnight'"],
    [one('key: k, rate_limit: { requests_per_unit: 1 }'), "config.yaml: d.k: invalid rate limit unit ''"],
    [one('key: k, rate_limit: { unit: toString }'), "config.yaml: d.k: invalid rate limit unit 'toString'"],
    [
      one('key: k, rate_limit: { unit: day, unlimited: true }'),
      'config.yaml: d.k: should not specify rate limit unit when unlimited',
    ],
    ...['-1', '1.5', 'many', '4294967296'].map((count): [string, string] => [
      one(`key: k, rate_limit: { unit: day, requests_per_unit: ${count} }`),
      `config.yaml: d.k: config error, requests_per_unit is no whole number up to 4294967295: '${count}'`,
    ]),
    [
      one('key: k, shadow_mode: maybe'),
      "config.yaml: d.k: config error, shadow_mode is neither true nor false: 'maybe'",
    ],
    [
      one('key: k, rate_limit: { unit: day, name: a, replaces: [{ name: a }] }'),
      'config.yaml: d.k: replaces should not contain name of same descriptor',
    ],
    [
      one('key: k, rate_limit: { unit: day, replaces: [{}] }'),
      'config.yaml: d.k: should not have an empty replaces entry',
    ],
    [
      one('key: k, value: v, share_threshold: true'),
      "config.yaml: d.k_v: share_threshold can only be used with wildcard values (containing '*')",
    ],
  ])('%s', async (text, expected) => {
    await expect(configOf(text)).rejects.toThrow(expected)
    await expect(configOf(text)).rejects.toMatchObject({ code: 'RATE_LIMIT_CONFIG_INVALID' })
  })

  test('one domain in two files, unless they are to be merged', async () => {
    const files = new Map([
      ['a.yaml', one('key: a, rate_limit: { unit: day, requests_per_unit: 1 }')],
      ['b.yaml', one('key: b, rate_limit: { unit: day, requests_per_unit: 2 }')],
    ])
    await expect(RateLimitConfig.parse(files)).rejects.toThrow("b.yaml: duplicate domain 'd' in config file")
    const merged = await RateLimitConfig.parse(files, true)
    expect(merged.limitOf('d', descriptor('b=1'))?.limit.requestsPerUnit).toBe(2)
    await expect(RateLimitConfig.parse(new Map([...files, ['c.yaml', one('key: a')]]), true)).rejects.toThrow(
      "c.yaml: duplicate descriptor composite key 'd.a'",
    )
  })

  test('however deep it nests', async () => {
    const deep = `{ domain: d, descriptors: ${'[{ key: k, descriptors: '.repeat(50_000)}`
    await expect(configOf(deep)).rejects.toMatchObject({ code: 'RATE_LIMIT_CONFIG_INVALID' })
  })
})

describe('counting', () => {
  let clock: VirtualClock
  beforeEach(() => {
    clock = new VirtualClock()
  })

  async function serviceOf(text: string, settings: Partial<RateLimitSettings> = {}): Promise<RateLimitService> {
    const service = new RateLimitService({ clock }, { shadowMode: false, ...settings })
    service.use(await configOf(text))
    return service
  }
  const ask = (service: RateLimitService, ...descriptors: Descriptor[]): RateLimitResponse => {
    const response = service.shouldRateLimit({ domain: 'd', descriptors, hitsAddend: 0 })
    if (typeof response === 'string') throw new Error(response)
    return response
  }
  const verdicts = (service: RateLimitService, times: number, ...descriptors: Descriptor[]): string =>
    Array.from({ length: times }, () => (ask(service, ...descriptors).isOverLimit ? 'x' : '.')).join('')
  const limit = (fields: string, flags = '') => `{ key: k, ${flags} rate_limit: { ${fields} } }`
  const of = (...descriptors: string[]) => `{ domain: d, descriptors: [${descriptors.join(', ')}] }`

  test.each([
    ['second', 1],
    ['minute', 60],
    ['hour', 3600],
    ['day', 86_400],
    ['week', 604_800],
    ['month', 2_592_000],
    ['year', 31_536_000],
  ])('a %s is a window of %i s that begins at a whole one', async (unit, seconds) => {
    const start = Math.ceil(clock.now() / 1000 / seconds) * seconds * 1000
    const service = await serviceOf(of(limit(`unit: ${unit}, requests_per_unit: 2`)))
    await clock.advance(start + seconds * 1000 - 1 - clock.now())
    expect(verdicts(service, 4, descriptor('k=1'))).toBe('..xx')
    expect(ask(service, descriptor('k=1')).statuses[0]).toMatchObject({ remaining: 0, secondsUntilReset: 1 })
    await clock.advance(1)
    expect(ask(service, descriptor('k=1')).statuses[0]).toMatchObject({ remaining: 1, secondsUntilReset: seconds })
  })

  test('each value has its own count; those that share a threshold have one', async () => {
    const service = await serviceOf(
      of(
        limit('unit: minute, requests_per_unit: 1'),
        '{ key: f, value: a*, share_threshold: true, rate_limit: { unit: minute, requests_per_unit: 1 } }',
      ),
    )
    expect(['k=1', 'k=2', 'k=1', 'f=a1', 'f=a2'].map((text) => verdicts(service, 1, descriptor(text)))).toEqual([
      '.',
      '.',
      'x',
      '.',
      'x',
    ])
  })

  test('one descriptor over its limit refuses the request, and all are counted', async () => {
    const service = await serviceOf(
      of(limit('unit: minute, requests_per_unit: 1'), '{ key: w, rate_limit: { unit: minute, requests_per_unit: 3 } }'),
    )
    const both = [descriptor('k=1'), descriptor('w=1')]
    expect(verdicts(service, 2, ...both)).toBe('.x')
    expect(ask(service, ...both).statuses).toMatchObject([
      { isOverLimit: true, remaining: 0 },
      { isOverLimit: false, remaining: 0 },
    ])
    expect(verdicts(service, 1, descriptor('w=1'))).toBe('x')
  })

  test('hits weigh; none looks without counting', async () => {
    const service = await serviceOf(of(limit('unit: minute, requests_per_unit: 10')))
    const k = (hitsAddend?: number) => ({ ...descriptor('k=1'), ...(hitsAddend !== undefined && { hitsAddend }) })
    const remaining = (request: Descriptor, hitsAddend = 0) => {
      const response = service.shouldRateLimit({ domain: 'd', descriptors: [request], hitsAddend })
      return typeof response === 'string' ? response : response.statuses[0]?.remaining
    }
    expect([remaining(k(), 3), remaining(k(0)), remaining(k(5), 3), remaining(k()), remaining(k(9))]).toEqual([
      7, 7, 2, 1, 0,
    ])
  })

  test('zero requests are none; unlimited and unmet limits always pass', async () => {
    const service = await serviceOf(
      of(limit('unit: day, requests_per_unit: 0'), '{ key: u, rate_limit: { unlimited: true } }'),
    )
    expect(verdicts(service, 1, descriptor('k=1'))).toBe('x')
    expect(ask(service, descriptor('u=1'), descriptor('n=1')).statuses).toEqual([
      { isOverLimit: false, remaining: 0xffff_ffff },
      { isOverLimit: false, remaining: 0 },
    ])
  })

  test('a limit that another one replaces is not counted', async () => {
    const service = await serviceOf(
      of(
        limit('unit: minute, requests_per_unit: 1, name: narrow'),
        '{ key: w, rate_limit: { unit: minute, requests_per_unit: 3, replaces: [{ name: narrow }] } }',
      ),
    )
    expect(verdicts(service, 3, descriptor('k=1'), descriptor('w=1'))).toBe('...')
    expect(verdicts(service, 2, descriptor('k=1'))).toBe('.x')
  })

  test('in shadow mode it is counted and never refused, for one limit or for all', async () => {
    const one = await serviceOf(of(limit('unit: minute, requests_per_unit: 1', 'shadow_mode: true,')))
    expect(verdicts(one, 3, descriptor('k=1'))).toBe('...')
    expect(one.stats.dump()).toContain('ratelimit.service.rate_limit.d.k.shadow_mode: 2\n')
    const all = await serviceOf(of(limit('unit: minute, requests_per_unit: 1')), { shadowMode: true })
    expect(verdicts(all, 3, descriptor('k=1'))).toBe('...')
    expect(all.stats.dump()).toContain('ratelimit.service.global_shadow_mode: 2\n')
  })

  test('in quota mode a request is refused when every quota is spent', async () => {
    const quota = (key: string, count: number) =>
      `{ key: ${key}, quota_mode: true, rate_limit: { unit: minute, requests_per_unit: ${count} } }`
    const service = await serviceOf(of(quota('a', 1), quota('b', 3)))
    expect(verdicts(service, 5, descriptor('a=1'), descriptor('b=1'))).toBe('...xx')
  })

  test('headers tell of the tightest limit', async () => {
    const service = await serviceOf(
      of(limit('unit: minute, requests_per_unit: 2'), '{ key: w, rate_limit: { unit: hour, requests_per_unit: 5 } }'),
      { headerNames: ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'] },
    )
    const both = [descriptor('w=1'), descriptor('k=1')]
    const reset = String(60 - (Math.floor(clock.now() / 1000) % 60))
    for (const remaining of ['1', '0', '0']) {
      expect(ask(service, ...both).responseHeaders).toEqual([
        ['RateLimit-Limit', '2'],
        ['RateLimit-Remaining', remaining],
        ['RateLimit-Reset', reset],
      ])
    }
    expect(ask(service, descriptor('n=1')).responseHeaders).toEqual([])
  })

  test('statistics say how much of the hits was within, near and over', async () => {
    const service = await serviceOf(of(limit('unit: minute, requests_per_unit: 10')))
    for (const hitsAddend of [7, 2, 3])
      service.shouldRateLimit({ domain: 'd', descriptors: [descriptor('k=1')], hitsAddend })
    service.shouldRateLimit({ domain: '10.0.0.1:x', descriptors: [descriptor('k=1')], hitsAddend: 0 })
    expect(service.stats.dump().split('\n')).toEqual([
      'ratelimit.service.config_load_success: 1',
      'ratelimit.service.rate_limit.10_0_0_1_x.domain_not_found: 1',
      'ratelimit.service.rate_limit.d.k.near_limit: 2',
      'ratelimit.service.rate_limit.d.k.over_limit: 2',
      'ratelimit.service.rate_limit.d.k.total_hits: 12',
      'ratelimit.service.rate_limit.d.k.within_limit: 9',
      '',
    ])
  })

  test.each([
    [{ domain: '', descriptors: [descriptor('k=1')] }, 'rate limit domain must not be empty'],
    [{ domain: 'd', descriptors: [] }, 'rate limit descriptor list must not be empty'],
    [{ domain: 'd', descriptors: [descriptor('k=1')] }, 'no rate limit configuration loaded'],
  ])('%j has no answer: %s', (request, reason) => {
    const service = new RateLimitService({ clock }, { shadowMode: false })
    expect(service.shouldRateLimit({ ...request, hitsAddend: 0 })).toBe(reason)
  })
})

describe('messages', () => {
  test('whatever bytes come, they are a request or malformed', () => {
    const random = new SeededRandom(7)
    const whole = request(
      'd',
      [
        [['k', 'v']],
        [
          ['a', 'b'],
          ['c', 'd'],
        ],
      ],
      3,
    )
    let decoded = 0
    for (let round = 0; round < 20_000; round += 1) {
      const bytes = Buffer.from(whole)
      const end = round % 2 === 0 ? bytes.length : random.integer(bytes.length + 1)
      for (let flip = random.integer(5); flip > 0; flip -= 1) bytes[random.integer(bytes.length)] = random.integer(256)
      try {
        const { domain, descriptors, hitsAddend } = decodeRequest(bytes.subarray(0, end))
        expect([typeof domain, Array.isArray(descriptors), hitsAddend >= 0]).toEqual(['string', true, true])
        decoded += 1
      } catch (error) {
        expect(error).toMatchObject({ code: 'PROTOBUF_MALFORMED' })
      }
    }
    expect(decoded).toBeGreaterThan(1000)
  })

  test('more descriptors than anybody has are refused', () => {
    const many = Array.from({ length: 1001 }, (): [string, string][] => [['k', 'v']])
    expect(() => decodeRequest(request('d', many))).toThrow('more than 1000 descriptors')
  })

  test('every field of an answer is where Envoy looks for it', () => {
    const limit = {
      requestsPerUnit: 5,
      unit: 'WEEK',
      name: 'n',
      replaces: [],
      shadowMode: false,
      quotaMode: false,
    } as const
    const status = { isOverLimit: true, remaining: 0, limit, secondsUntilReset: 9 }
    const bytes = encodeResponse({ isOverLimit: true, statuses: [status], responseHeaders: [['a', 'b']] })
    const message = new ProtoMessage(bytes)
    const [inner] = message.messages(2)
    const current = inner?.message(2)
    expect([message.uint(1), inner?.uint(1), inner?.uint(3), inner?.message(4)?.uint(1)]).toEqual([2, 2, 0, 9])
    expect([current?.uint(1), current?.uint(2), current?.string(3)]).toEqual([5, 7, 'n'])
    expect(message.messages(3).map((header) => [header.string(1), header.string(2)])).toEqual([['a', 'b']])
  })

  test.each([
    ['{"domain":"d","descriptors":[{"entries":[{"key":"k"}]}]}', { domain: 'd', descriptors: [descriptor('k')] }],
    ['{"hitsAddend":2}', { hitsAddend: 2 }],
    ['{"hits_addend":"3"}', { hitsAddend: 3 }],
    ['{"descriptors":[{"hitsAddend":"0"}]}', { descriptors: [{ entries: [], hitsAddend: 0 }] }],
    [
      '{"descriptors":[{"limit":{"requestsPerUnit":4,"unit":"DAY"}},{"limit":{"unit":1}}]}',
      {
        descriptors: [
          { entries: [], override: { requestsPerUnit: 4, unit: 'DAY' } },
          { entries: [], override: { requestsPerUnit: 0, unit: 'SECOND' } },
        ],
      },
    ],
  ])('the JSON %s is understood', (text, expected) => {
    expect(parseJsonRequest(text)).toEqual({ domain: '', descriptors: [], hitsAddend: 0, ...expected })
  })

  test.each([
    '',
    '[]',
    '{"domain":1}',
    '{"domains":"d"}',
    '{"descriptors":{}}',
    '{"descriptors":[1]}',
    '{"descriptors":[{"entries":[{"key":1}]}]}',
    '{"descriptors":[{"limit":{"unit":"FORTNIGHT"}}]}',
    '{"hitsAddend":-1}',
    '{"hitsAddend":1.5}',
  ])('the JSON %j is malformed', (text) => {
    expect(() => parseJsonRequest(text)).toThrow(expect.objectContaining({ code: 'JSON_MALFORMED' }))
  })
})

describe('the service on its ports', () => {
  const SAMPLE = `
domain: productpage-ratelimit
descriptors:
  - key: PATH
    value: "/productpage"
    rate_limit:
      unit: year
      requests_per_unit: 1
  - key: PATH
    rate_limit:
      unit: year
      requests_per_unit: 100
`
  const ENV = { RUNTIME_ROOT: '/data', RUNTIME_SUBDIRECTORY: 'ratelimit', RUNTIME_WATCH_ROOT: 'false' }
  const PATH = '/data/ratelimit/config/config.yaml'
  const SHOULD_RATE_LIMIT = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit'
  const productpage = request('productpage-ratelimit', [[['PATH', '/productpage']]])
  const files = (content: string) => [{ path: PATH, content, encoding: 'utf8' as const }]
  let bench: AppBench
  beforeEach(() => {
    bench = new AppBench()
  })
  afterEach(() => bench[Symbol.asyncDispose]())

  const run = (content = SAMPLE, env: Record<string, string> = {}) => {
    const spec = { command: ['/bin/ratelimit'], env: { ...ENV, ...env } }
    return bench.run('ratelimit', 'docker.io/envoyproxy/ratelimit:30a4ce1a', spec, files(content))
  }
  const portOf = (app: RunningApp, port: number) => app.container.ports[String(port)]!
  const get = async (app: RunningApp, port: number, path: string, init?: RequestInit) => {
    const { host, port: real } = portOf(app, port)
    const response = await fetch(`http://${host}:${real}${path}`, init)
    return [response.status, await response.text()] as const
  }

  test('the sample of Istio’s documents: one productpage, a hundred of anything else', async () => {
    const app = await run()
    const codes = []
    for (let time = 0; time < 3; time += 1) {
      const { message } = await call(portOf(app, 8081), SHOULD_RATE_LIMIT, productpage)
      codes.push(message?.uint(1))
    }
    expect(codes).toEqual([1, 2, 2])
    const other = request('productpage-ratelimit', [[['PATH', '/login']]])
    const { message } = await call(portOf(app, 8081), SHOULD_RATE_LIMIT, other)
    expect([message?.uint(1), message?.messages(2)[0]?.uint(3)]).toEqual([1, 99])
  })

  test('/json answers callers without gRPC', async () => {
    const app = await run()
    const body =
      '{"domain":"productpage-ratelimit","descriptors":[{"entries":[{"key":"PATH","value":"/productpage"}]}]}'
    const ask = () => get(app, 8080, '/json', { method: 'POST', body })
    const status = {
      currentLimit: { requestsPerUnit: 1, unit: 'YEAR' },
      durationUntilReset: expect.stringMatching(/^\d+s$/),
    }
    const [ok, over] = [await ask(), await ask()]
    expect([ok[0], JSON.parse(ok[1])]).toEqual([200, { overallCode: 'OK', statuses: [{ code: 'OK', ...status }] }])
    expect([over[0], JSON.parse(over[1])]).toEqual([
      429,
      { overallCode: 'OVER_LIMIT', statuses: [{ code: 'OVER_LIMIT', ...status }] },
    ])
    expect(await get(app, 8080, '/json', { method: 'POST', body: '{}' })).toEqual([400, 'Bad Request\n'])
    expect(app.container.log.tail(5).join('\n')).toContain('rate limit domain must not be empty')
  })

  test('health, configuration and statistics are where the reference service has them', async () => {
    const app = await run()
    expect(await get(app, 8080, '/healthcheck')).toEqual([200, 'OK'])
    expect((await get(app, 8080, '/rlconfig'))[0]).toBe(404)
    expect(await get(app, 6070, '/rlconfig')).toEqual([
      200,
      'productpage-ratelimit.PATH_/productpage: unit=YEAR requests_per_unit=1, shadow_mode: false, quota_mode: false\n' +
        'productpage-ratelimit.PATH: unit=YEAR requests_per_unit=100, shadow_mode: false, quota_mode: false\n',
    ])
    expect((await get(app, 6070, '/stats'))[1]).toBe('ratelimit.service.config_load_success: 1\n')
    expect((await get(app, 6070, '/'))[1]).toContain('/rlconfig')
    const { message } = await call(portOf(app, 8081), '/grpc.health.v1.Health/Check', Buffer.alloc(0))
    expect(message?.uint(1)).toBe(1)
  })

  test('a new configuration is in force at once; a wrong one leaves the last, and the log says why', async () => {
    const app = await run()
    app.container.files.replace(files(SAMPLE.replace('requests_per_unit: 1\n', 'requests_per_unit: 2\n')))
    expect((await get(app, 6070, '/rlconfig'))[1]).toContain('requests_per_unit=2')
    app.container.files.replace(files(SAMPLE.replace('unit: year', 'unit: fortnight')))
    expect((await get(app, 6070, '/rlconfig'))[1]).toContain('requests_per_unit=2')
    expect((await get(app, 6070, '/stats'))[1]).toContain('config_load_error: 1\n')
    expect(app.container.log.tail(10).join('\n')).toContain(
      "config.yaml: productpage-ratelimit.PATH_/productpage: invalid rate limit unit 'fortnight'",
    )
  })

  test.each<[string, Buffer, string, string]>([
    ['another method', productpage, '/envoy.service.ratelimit.v3.RateLimitService/Other', '12'],
    ['no domain', request('', [[['k', 'v']]]), SHOULD_RATE_LIMIT, '2 rate limit domain must not be empty'],
    ['no message', Buffer.from([10, 200]), SHOULD_RATE_LIMIT, /^13 not a message/.source],
  ])('%s is an error of gRPC', async (_, bytes, path, expected) => {
    const { message, status } = await call(portOf(await run(), 8081), path, bytes)
    expect(message).toBeUndefined()
    expect(status).toMatch(new RegExp(expected))
  })

  test.each([
    [{}, [200, 'OK']],
    [{ HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED: 'true' }, [500, '']],
  ])('without a configuration, and %j, it is healthy or not: %j', async (env, expected) => {
    const app = await run('domain: ""', env)
    expect(await get(app, 8080, '/healthcheck')).toEqual(expected)
    const { status } = await call(portOf(app, 8081), SHOULD_RATE_LIMIT, productpage)
    expect(status).toBe('2 no rate limit configuration loaded')
  })

  test('headers, when they are asked for', async () => {
    const app = await run(SAMPLE, { LIMIT_RESPONSE_HEADERS_ENABLED: 'true', LIMIT_RESET_HEADER: 'Reset' })
    const { message } = await call(portOf(app, 8081), SHOULD_RATE_LIMIT, productpage)
    expect(message?.messages(3).map((header) => header.string(1))).toEqual([
      'RateLimit-Limit',
      'RateLimit-Remaining',
      'Reset',
    ])
  })
})

function request(domain: string, descriptors: readonly (readonly [string, string][])[], hitsAddend = 0): Buffer {
  const writer = new ProtoWriter().string(1, domain)
  for (const entries of descriptors) writer.message(2, (inner) => inner.entries(1, entries))
  return writer.uint(3, hitsAddend).finish()
}

interface Answer {
  readonly message: ProtoMessage | undefined
  /** `0`, `2 what is wrong` */
  readonly status: string
}

function call({ host, port }: HostPort, path: string, message: Buffer): Promise<Answer> {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return new Promise((resolve, reject) => {
    const session = connect(`http://${host}:${port}`)
    session.on('error', reject)
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' })
    const chunks: Buffer[] = []
    let status = ''
    stream.on('trailers', (trailers) => {
      const reason = decodeURIComponent(String(trailers['grpc-message'] ?? ''))
      status = `${trailers['grpc-status']} ${reason}`.trim()
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('close', () => {
      session.close()
      const bytes = Buffer.concat(chunks)
      resolve({ message: bytes.length > 0 ? new ProtoMessage(bytes.subarray(5)) : undefined, status })
    })
    stream.end(Buffer.concat([head, message]))
  })
}
