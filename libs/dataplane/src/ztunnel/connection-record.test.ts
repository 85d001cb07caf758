import { CodedError, VirtualClock } from '@ambient-lab/std'
import { AccessLog, Logging, MetricsRegistry } from '@ambient-lab/telemetry'
import { describe, expect, it } from 'vitest'
import { DATAPLANE_ERRORS, dataplaneError } from '../errors.ts'
import { ENDED_CONNECTIONS_KEPT } from '../limits.ts'
import { ConnectRejectedError } from '../tunnel/errors.ts'
import type { ConnectionOpening } from './connection-record.ts'
import { ConnectionRecorder } from './connection-recorder.ts'
import { errorCodeOf, OUTCOMES } from './response-flags.ts'
import { workloadOf } from './two-nodes.conformance.ts'
import { factsOf } from './workload-facts.ts'

const curl = workloadOf('curl', 'a', '10.244.1.4')
const echo = workloadOf('echo', 'b', '10.244.2.5')
const opening: ConnectionOpening = {
  direction: 'outbound',
  protocol: 'HBONE',
  source: curl,
  sourceAddress: { address: '10.244.1.4', port: 41_000 },
  sourceIdentity: factsOf(curl).id,
  destination: echo,
  destinationAddress: { address: '10.244.2.5', port: 8080 },
  destinationIdentity: factsOf(echo).id,
  hboneAddress: { address: '10.244.2.5', port: 15008 },
  service: undefined,
  traceId: '',
  traceparent: '',
}

function setUp() {
  const clock = new VirtualClock()
  const lines: string[] = []
  const metrics = new MetricsRegistry()
  const logging = new Logging({ components: { clock, sink: (line) => lines.push(line) } })
  const accessLog = new AccessLog(logging.logger('access'))
  const recorder = new ConnectionRecorder({ node: 'a', components: { clock, metrics, accessLog } })
  return { clock, lines, metrics, recorder }
}

const policyChanged = dataplaneError('POLICY_CHANGED', 'connection closed due to policy change')
const drained = dataplaneError('DRAINED', 'connection closed due to connection drain')
const reset = dataplaneError('UPSTREAM_DISCONNECTED', 'destination disconnected before all data was written')

describe('ConnectionRecord', () => {
  it.each([
    ['policy before drain', [drained, policyChanged], undefined, policyChanged],
    ['policy before drain, whoever came first', [policyChanged, drained], undefined, policyChanged],
    ['drain before reset', [drained], reset, drained],
    ['revocation before everything', [policyChanged], dataplaneError('CERTIFICATE_REVOKED', 'revoked'), 'revoked'],
    ['a reset alone', [], reset, reset],
  ])('when causes race: %s', (_what, causes, error, winner) => {
    const { recorder } = setUp()
    const record = recorder.open(opening)
    for (const cause of causes) record.blame(cause)
    record.close(error)
    expect(record.error).toBe(typeof winner === 'string' ? winner : winner.message)
  })

  it('is closed once, whatever happens afterwards', () => {
    const { recorder, lines, metrics, clock } = setUp()
    const record = recorder.open(opening)
    clock.jump(5)
    record.close()
    record.close(reset)
    record.fail(reset)
    expect(record.view('a')).toMatchObject({ state: 'closed', error: '', responseFlags: '-' })
    expect(lines).toHaveLength(1)
    const closed = metrics
      .expose()
      .split('\n')
      .filter((line) => line.startsWith('istio_tcp_connections_closed_total{'))
    expect(closed).toHaveLength(1)
    expect(closed[0]).toMatch(/response_flags="-".* 1$/)
    expect(metrics.expose()).not.toContain('istio_tcp_connections_failed_total{')
  })

  it('says unknown for what it does not know, and counts a refusal once', () => {
    const { recorder, metrics } = setUp()
    const nobody = { ...opening, destination: undefined, destinationIdentity: undefined, protocol: 'TCP' } as const
    recorder.refuse({ ...nobody, sourceIdentity: undefined }, dataplaneError('UNKNOWN_HOST', 'no such host: x'))
    const line = metrics
      .expose()
      .split('\n')
      .find((row) => row.startsWith('istio_tcp_connections_failed_total{'))
    expect(line).toContain('destination_workload="unknown"')
    expect(line).toContain('connection_security_policy="unknown"')
    expect(line).toMatch(/response_flags="CONNECT".* 1$/)
    expect(recorder.edges()).toMatchObject([{ opened: 0, closed: 0, failed: 1, destinationWorkload: '' }])
  })

  it('reports bytes of open connections at each scrape, each byte once', () => {
    const { recorder, metrics } = setUp()
    const record = recorder.open(opening)
    const sent = () => /istio_tcp_sent_bytes_total\{.*\} (\d+)/.exec(metrics.expose())?.[1]
    record.counts = { bytesSent: 10, bytesReceived: 1 }
    expect([sent(), sent()]).toEqual(['10', '10'])
    record.counts = { bytesSent: 15, bytesReceived: 2 }
    record.close()
    expect(sent()).toBe('15')
    expect(recorder.edges()).toMatchObject([{ bytesSent: 15, bytesReceived: 2 }])
  })

  it('keeps a bounded number of ended connections and says how many it lost', () => {
    const { recorder } = setUp()
    for (let count = 0; count < ENDED_CONNECTIONS_KEPT + 3; count += 1) recorder.open(opening).close()
    expect(recorder.connections()).toHaveLength(ENDED_CONNECTIONS_KEPT)
    expect(recorder.lost).toBe(3)
    expect(recorder.connections()[0]!.id).toBe('a-4')
  })
})

describe('response flags', () => {
  it.each([
    [new ConnectRejectedError(401, 'denied'), 'CONNECT_DENIED', 'DENY'],
    [new ConnectRejectedError(400, 'ip mismatch'), 'CONNECT_MISDIRECTED', 'CONNECT'],
    [new ConnectRejectedError(503, 'refused'), 'CONNECT_UNAVAILABLE', 'CONNECT'],
    [new CodedError('CONNECT_FAILED', 'x', { cause: { code: 'ECONNREFUSED' } }), 'CONNECT_REFUSED', 'CONNECT'],
    [new CodedError('CONNECT_TIMEOUT', 'x'), 'CONNECT_TIMEOUT', 'NETWORK_POLICY'],
    [new CodedError('PEER_UNEXPECTED_SAN', 'x'), 'IDENTITY_MISMATCH', 'TLS_FAILURE'],
    [new CodedError('PEER_EXPIRED', 'x'), 'TLS_FAILED', 'TLS_FAILURE'],
    [new CodedError('CERTIFICATE_UNAVAILABLE', 'x'), 'CERTIFICATE_UNAVAILABLE', 'IDENTITY_ERROR'],
    [new CodedError('UPGRADE_REFUSED', 'x'), 'UPGRADE_REFUSED', 'H2_HANDSHAKE_FAILURE'],
    [new CodedError('NEVER_HEARD_OF', 'x'), 'CONNECT_FAILED', 'CONNECT'],
  ])('%s is %s', (error, code, flag) => {
    expect(errorCodeOf(error)).toBe(code)
    expect(OUTCOMES[errorCodeOf(error)].flag).toBe(flag)
  })

  it('has a hint for every code', () => {
    expect(Object.keys(OUTCOMES).sort()).toEqual(Object.keys(DATAPLANE_ERRORS).sort())
    for (const { hint } of Object.values(OUTCOMES)) expect(hint.length).toBeGreaterThan(10)
  })
})
