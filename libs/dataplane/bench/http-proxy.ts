/**
 * The L7 chain of a waypoint as a plain HTTP proxy in a process of its own, for comparison with others: what is between
 * the two sockets is what a waypoint does to a request. Arguments: port to listen on, port of the backend, port of the
 * one that speaks gRPC; `plain`, `full` (policy, metrics, log) or `jwt` (and a token), with its issuer and key set.
 */

import { JwkSetStore } from '@ambient-lab/pki'
import { ConnectionFacts } from '@ambient-lab/policy'
import { Ring, systemClock, unseededRandom } from '@ambient-lab/std'
import { MetricsRegistry, silentLogger } from '@ambient-lab/telemetry'
import { CLUSTER_TYPE, FILTER_CHAIN_TYPE, L7_PROXY_TYPE } from '@ambient-lab/xds'
import { NodeNetwork } from '../src/plain-network.ts'
import { ProxyStateHolder } from '../src/state/proxy-state-holder.ts'
import { TunnelPool } from '../src/tunnel/tunnel-pool.ts'
import { WsMtlsTransport } from '../src/tunnel/ws-mtls-transport.ts'
import { CodecSelector } from '../src/waypoint/codec-selector.ts'
import { DryRunSeries } from '../src/waypoint/dry-run-series.ts'
import { GrpcMessageSeries } from '../src/waypoint/grpc-message-series.ts'
import { OwnWorkload } from '../src/waypoint/own-workload.ts'
import { ProxyConfig, serviceMatch } from '../src/waypoint/proxy-config.ts'
import { RequestDecisions } from '../src/waypoint/request-decisions.ts'
import { RequestRecorder } from '../src/waypoint/request-recorder.ts'
import { RequestSeries } from '../src/waypoint/request-series.ts'
import { TcpSeries } from '../src/waypoint/tcp-series.ts'
import { Clusters } from '../src/waypoint/upstream/clusters.ts'
import { EndpointDialer } from '../src/waypoint/upstream/endpoint-dialer.ts'

const [port = 0, backendPort = 0, grpcPort = 0] = process.argv.slice(2, 5).map(Number)
const [features = 'plain', issuer = '', keys = ''] = process.argv.slice(5)
const isFull = features !== 'plain'

const clock = systemClock
const random = unseededRandom()
const network = new NodeNetwork({ clock })
const state = new ProxyStateHolder()
const lines = new Ring<string>(2000)
const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'waypoint' }
const noCertificates = () => Promise.reject(new Error('a bench without tunnels'))
const transport = new WsMtlsTransport({ clock, svids: { clientSvid: noCertificates, serverSvid: noCertificates } })
const dialer = new EndpointDialer(
  {
    random,
    state,
    own: new OwnWorkload(state, 'u'),
    transport,
    tunnels: new TunnelPool({ transport, clock }),
    network,
  },
  { node: 'n', identity, clusterDomain: 'cluster.local', labRanges: [] },
)
const clusters = new Clusters({ clock, random, state, network, dialer, log: silentLogger() }, () => ({
  network: '',
  locality: undefined,
  labels: {},
}))
const series = { metrics: new MetricsRegistry(), reporter: () => 'waypoint' as const }
const recorder = new RequestRecorder({
  clock,
  series: new RequestSeries(series),
  messageSeries: new GrpcMessageSeries({ clock }, series),
  tcpSeries: new TcpSeries(series),
  logSink: (line) => lines.push(line),
})
const config = new ProxyConfig('proxy', {
  clock,
  random,
  clusters,
  recorder,
  keys: new JwkSetStore({ clock, fetchText: () => Promise.reject(new Error('a bench without keys')) }),
  post: () => Promise.resolve(),
  decisions: new RequestDecisions({ clock }),
  dryRuns: new DryRunSeries({ metrics: new MetricsRegistry(), log: silentLogger() }),
})

const service = 'default/web'
const resources = [
  [
    L7_PROXY_TYPE,
    {
      name: 'proxy',
      namespace: 'default',
      kind: 'waypoint',
      workloads: [],
      ports: [],
      accessLog: { enabled: isFull, encoding: 'TEXT' },
      pathNormalization: 'BASE',
    },
  ],
  [CLUSTER_TYPE, clusterOf('web', backendPort, 'http1')],
  [CLUSTER_TYPE, clusterOf('grpc', grpcPort, 'http2')],
  [
    FILTER_CHAIN_TYPE,
    {
      name: 'chain',
      proxy: 'proxy',
      match: { kind: 'service', service, port: 80 },
      http: {
        statPrefix: 'web',
        virtualHosts: [
          {
            name: '*',
            domains: ['*'],
            routes: [
              { name: 'admin', match: { path: { pathSegments: '/admin' } }, action: directResponse(404) },
              { name: 'grpc', match: { path: { prefix: '/grpc.Service/' } }, action: forwardTo('grpc') },
              { name: 'default', match: {}, action: forwardTo('web') },
            ],
          },
        ],
        ...(isFull && { authorization: [denyAdmin()] }),
        ...(features === 'jwt' && { jwt: { providers: [providerOf(issuer, keys)] } }),
      },
    },
  ],
] as const
for (const [typeUrl, resource] of resources) {
  const errors = config.apply(typeUrl, [{ name: resource.name, resource }], [])
  if (errors.length > 0) throw new Error(JSON.stringify(errors))
}

const chain = () => config.find([serviceMatch(service, 80)])!.http!
const listener = await network.listen({ host: '127.0.0.1', port }, (stream, remote) => {
  const address = { address: '127.0.0.1', port: remote.port }
  const local = { address: '10.96.0.1', port: 80 }
  const facts = new ConnectionFacts({
    sourceIp: '127.0.0.1',
    destinationIp: '10.96.0.1',
    destinationPort: 80,
    identity,
  })
  const peer = { identity, workload: undefined, address, local, service: undefined, facts, scheme: 'http' } as const
  new CodecSelector({ stream, peer, clock, runtime: chain, onClosed: () => {} })
})
process.on('SIGINT', () => process.exit(0)) // a CPU profile is written at an exit, not at a kill
process.send?.({ port: listener.address.port })
process.stdout.write(`${listener.address.port}\n`)

function clusterOf(name: string, to: number, protocol: 'http1' | 'http2') {
  return {
    name,
    endpoints: { kind: 'dns', hosts: [{ host: '127.0.0.1', port: to }], dnsTtlMs: 3_600_000 },
    protocol,
    loadBalancing: { policy: 'LEAST_REQUEST' },
    connectTimeoutMs: 1000,
    circuitBreakers: {},
    maxRequestsPerConnection: 0,
    idleTimeoutMs: 60_000,
  } as const
}

function providerOf(issuer: string, keys: string) {
  return {
    name: 'bench',
    issuer,
    audiences: [],
    keys: { inline: keys },
    keysTimeoutMs: 1000,
    from: { headers: [{ name: 'authorization', prefix: 'Bearer ' }], params: [], cookies: [] },
    forwardOriginalToken: true,
    outputClaimToHeaders: [],
    spaceDelimitedClaims: [],
  }
}

function directResponse(status: number) {
  return { kind: 'direct-response', status } as const
}

function forwardTo(cluster: string) {
  const retry = {
    attempts: 2,
    on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
    statusCodes: [],
    backoffBaseMs: 25,
    backoffMaxMs: 250,
    avoidPreviousHostsDraws: 5,
  }
  return { kind: 'forward', forward: { backends: [{ cluster, weight: 1 }], retry } } as const
}

function denyAdmin() {
  const matches = [{ methods: [{ exact: 'DELETE' }], paths: [{ prefix: '/admin' }] }]
  return {
    name: 'deny-admin',
    namespace: 'default',
    action: 'DENY',
    rules: [{ index: 0, clauses: [{ part: 'to', matches }] }],
    dryRun: false,
  } as const
}
