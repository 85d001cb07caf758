import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { describe, expect, it, test } from 'vitest'
import { HeaderMap } from '../http1/index.ts'
import { MemoryPlainNetwork } from '../memory-plain-network.ts'
import { MemoryNetwork, MemoryTransport } from '../tunnel/memory-transport.ts'
import { forwardRoute, MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'
import { dryRunTags, Tracing } from './tracing.ts'

const TRACE = '12345678901234567890123456789012'
const PARENT = '1234567890123456'

function propagated(entries: readonly (readonly [string, string])[]) {
  const config = { endpoint: '', randomSamplingPercent: 0, customTags: {} }
  const headers = new HeaderMap(entries)
  const span = new Tracing({ random: new SeededRandom(1) }, config).propagate(headers)
  return { span, headers }
}

describe('a waypoint in a trace', () => {
  test.each(['00', '01', '02', '03'])('the flags %s go on', (flags) => {
    const { span, headers } = propagated([['traceparent', `00-${TRACE}-${PARENT}-${flags}`]])
    expect(headers.get('traceparent')).toBe(`00-${TRACE}-${span.spanId}-${flags}`)
    expect(span).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, isSampled: flags === '01' || flags === '03' })
  })

  test('the state goes on in one line', () => {
    const lines = [
      ['traceparent', `00-${TRACE}-${PARENT}-00`],
      ['tracestate', 'foo=1,'],
      ['tracestate', 'bar=2'],
    ] as const
    expect(propagated(lines).headers.getAll('tracestate')).toEqual(['foo=1,bar=2'])
  })

  test.each([
    ['of a trace that begins here', [['tracestate', 'foo=1']]],
    [
      'that is wrong',
      [
        ['traceparent', `00-${TRACE}-${PARENT}-00`],
        ['tracestate', '@foo=1'],
      ],
    ],
  ] as const)('a state %s ends here', (_, lines) => {
    expect(propagated(lines).headers.has('tracestate')).toBe(false)
  })

  test('two parents are none', () => {
    const parent = ['traceparent', `00-${TRACE}-${PARENT}-00`] as const
    const { span, headers } = propagated([parent, parent])
    expect(span.parentSpanId).toBe('')
    expect(headers.getAll('traceparent')).toHaveLength(1)
  })
})

it.each([
  ['nothing', undefined, {}],
  [
    'a denial that nobody enforces',
    { deny: { result: 'denied', policy: 'ns[a]-policy[b]-rule[0]' }, allow: undefined },
    {
      'istio.authorization.dry_run.deny_policy.name': 'ns[a]-policy[b]-rule[0]',
      'istio.authorization.dry_run.deny_policy.result': 'denied',
    },
  ],
  [
    'no policy that allows',
    { deny: { result: 'allowed', policy: undefined }, allow: { result: 'denied', policy: undefined } },
    {
      'istio.authorization.dry_run.allow_policy.result': 'denied',
      'istio.authorization.dry_run.deny_policy.result': 'allowed',
    },
  ],
] as const)('tags a span with %s', (_what, results, tags) => {
  expect(dryRunTags(results)).toEqual(tags)
})

it('sends spans that say what a policy in dry run would have done, and lets the request pass', async () => {
  const clock = new VirtualClock()
  const network = new MemoryNetwork()
  const mesh = new MeshWithWaypoint({
    clock,
    network: new MemoryPlainNetwork({ clock }),
    transport: (svids) => new MemoryTransport({ network, clock, svids }),
    until: async (condition) => {
      expect(await clock.advanceUntil(condition, 30_000)).toBe(true)
    },
  })
  await mesh.start()
  const endpoint = 'http://web.default.svc.cluster.local/v1/traces'
  mesh.proxy({ tracing: { endpoint, randomSamplingPercent: 100, customTags: {} } })
  const clauses = [{ part: 'to' as const, matches: [{ methods: [{ exact: 'GET' }] }] }]
  const base = { namespace: 'default', name: 'trial', dryRun: true, action: 'DENY' as const }
  mesh.routes([forwardRoute()], { authorization: [{ ...base, rules: [{ index: 0, clauses }] }] })
  expect(await mesh.get('/traced')).toMatchObject({ status: 200 })
  const received = () => mesh.servers.flatMap(({ requests }) => requests)
  await mesh.ground.until(() => received().some(({ head }) => head.path === '/v1/traces'))
  const { body } = received().find(({ head }) => head.path === '/v1/traces')!
  expect(body.toString()).toContain('ns[default]-policy[trial]-rule[0]')
  expect(body.toString()).toContain('istio.authorization.dry_run.deny_policy.result')
  await mesh.stop()
})
