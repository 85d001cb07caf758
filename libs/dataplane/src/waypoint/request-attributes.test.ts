import { CelExpression } from '@ambient-lab/policy'
import { describe, expect, it } from 'vitest'
import { HeaderMap } from '../http1/index.ts'
import { workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { RequestAttributes } from './request-attributes.ts'
import { recordWith } from './request-record.conformance.ts'
import { UpstreamHost } from './upstream/host.ts'

const IDENTITY = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'curl' }
const host = new UpstreamHost({
  key: 'web',
  address: '10.244.2.10:8080',
  host: '10.244.2.10',
  port: 8080,
  addedMs: 0,
  workload: workloadOf('web-0', 'b', '10.244.2.10', {
    workloadName: 'web',
    canonicalName: 'web',
    canonicalRevision: 'v1',
  }),
})
const request = recordWith(
  {
    path: '/a/b?c=1#d',
    authority: 'web:8000',
    status: 503,
    details: 'via_upstream',
    bytesReceived: 3,
    bytesSent: 10,
    durationMs: 12,
    upstreamServiceMs: 7,
    cluster: 'outbound|80||web',
    routeName: 'route',
    tries: 2,
    upstreamHost: host,
    requestHeaders: new HeaderMap([
      ['user-agent', 'curl'],
      ['x-twice', 'a'],
      ['x-twice', 'b'],
      ['x-utf8', Buffer.from('é').toString('latin1')],
      ['content-length', '5'],
    ]),
    responseHeaders: new HeaderMap([['server', 'envoy']]),
    responseTrailers: new HeaderMap([['grpc-status', '14']]),
    isGrpc: true,
  },
  { identity: IDENTITY, workload: workloadOf('curl', 'a', '10.244.1.4') },
)
request.flag('UF')
request.flag('URX')

const attributes = new RequestAttributes()
const textOf = (expression: string, record = request) => CelExpression.compile(expression).text(attributes.of(record))

describe('an attribute of a request', () => {
  it.each<[expression: string, text: string | undefined]>([
    ['request.path', '/a/b?c=1#d'],
    ['request.url_path', '/a/b'],
    ['request.query', 'c=1'],
    ['request.host', 'web:8000'],
    ['request.scheme', 'http'],
    ['request.method', 'GET'],
    ["request.headers['x-twice']", 'a,b'],
    ["request.headers['x-utf8']", 'é'],
    ["request.headers[':path']", '/a/b?c=1#d'],
    ["request.headers.exists(name, name == ':authority')", 'true'],
    ["has(request.headers.cookie) ? 'yes' : 'no'", 'no'],
    ['request.headers_bytes', String('user-agentcurlx-twiceax-twicebx-utf8xxcontent-length5'.length)],
    ['request.referer', undefined],
    ['request.useragent', 'curl'],
    ['request.time', '2026-01-02T03:04:05.678+00:00'],
    ['request.id', 'id'],
    ['request.protocol', 'HTTP/1.1'],
    ['request.duration', '12ms'],
    ['request.size', '5'],
    ['request.total_size > request.size', 'true'],
    ['response.code', '503'],
    ['response.code_details', 'via_upstream'],
    ['response.flags', String(0x20 + 0x8000)],
    ['response.grpc_status', '14'],
    ['response.headers.server', 'envoy'],
    ["response.headers[':status']", '503'],
    ["response.trailers['grpc-status']", '14'],
    ['response.size', '10'],
    ['response.total_size', String(10 + 'serverenvoy'.length + 'grpc-status14'.length)],
    ['response.backend_latency', '7ms'],
    ['source.address', '10.0.0.7:4000'],
    ['source.port', '4000'],
    ['destination.address', '10.96.0.1:80'],
    ['string(destination.port)', '80'],
    ['connection.mtls', 'true'],
    ['connection.tls_version', 'TLSv1.3'],
    ['connection.requested_server_name', ''],
    ['connection.uri_san_peer_certificate', 'spiffe://cluster.local/ns/default/sa/curl'],
    ['connection.id > 0u', 'true'],
    ['upstream.address', '10.244.2.10:8080'],
    ['upstream.port', '8080'],
    ['upstream.request_attempt_count', '2'],
    ['xds.cluster_name', 'outbound|80||web'],
    ['xds.route_name', 'route'],
    ['upstream_peer.workload', 'web'],
    ["filter_state.upstream_peer.version + '/' + filter_state['downstream_peer'].name", 'v1/curl'],
    ['downstream_peer.namespace', 'default'],
    ['filter_state.other', undefined],
    ['request.absent', undefined],
    ['metadata.filter_metadata', undefined],
  ])('%s is %s', (expression, text) => {
    expect(textOf(expression)).toBe(text)
  })

  it('is of the request that is asked about, and numbers its connection', () => {
    const other = recordWith({ path: '/' })
    expect(textOf('request.path', other)).toBe('/')
    expect(textOf('request.query', other)).toBe('')
    expect(textOf('response.code', other)).toBeUndefined()
    expect(textOf('response.flags', other)).toBe('0')
    expect(textOf('connection.mtls', other)).toBe('false')
    expect(textOf('upstream.address', other)).toBeUndefined()
    expect(textOf('connection.id', other)).toBe(textOf('connection.id', other))
    expect(textOf('connection.id', other)).not.toBe(textOf('connection.id'))
  })

  it('is not there without heads, but what else is known is', () => {
    const connection = recordWith({ protocol: '-', bytesReceived: 7 })
    expect(textOf('request.host', connection)).toBeUndefined()
    expect(textOf('has(request.headers)', connection)).toBe('false')
    expect(textOf('request.size', connection)).toBe('7')
    expect(textOf('source.port', connection)).toBe('4000')
  })
})
