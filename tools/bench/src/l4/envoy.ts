import { spawn, spawnSync } from 'node:child_process'
import { pinned } from './cores.ts'
import { freePort, listening, type Pair, type PairInit, type Peer, processPair } from './pair.ts'

const BINARY = process.env.AMBIENT_BENCH_ENVOY
const ABSENCE = 'name a binary in AMBIENT_BENCH_ENVOY'

/** Two Envoys as HAProxy's pair: TCP in and out, a mutually authenticated TLS connection for each. */
export const envoy: Peer = {
  name: 'envoy mTLS pair',
  version: envoyVersion(),
  absence: ABSENCE,
  start: (init) => startEnvoyPair(init, 'tls'),
}

/** Two Envoys as Istio's sidecars and waypoints speak HBONE: CONNECT over HTTP/2, shared connections. */
export const envoyConnect: Peer = {
  name: 'envoy CONNECT pair',
  version: envoyVersion(),
  absence: ABSENCE,
  start: (init) => startEnvoyPair(init, 'connect'),
}

async function startEnvoyPair(
  { certificates, backendPort, cores }: PairInit,
  tunnel: 'tls' | 'connect',
): Promise<Pair> {
  const [sourcePort, tunnelPort] = [await freePort(), await freePort()]
  const start = (role: string, core: number | undefined, bootstrap: object) => {
    const path = certificates.write(`envoy-${tunnel}-${role}.json`, JSON.stringify(bootstrap))
    const flags = ['-c', path, '--concurrency', '1', '--disable-hot-restart', '-l', 'critical']
    const [command, args] = pinned(core, BINARY!, flags)
    return spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  const { folder } = certificates
  const inbound = tunnel === 'tls' ? tcpProxy('backend') : connectTerminator()
  const outbound = tunnel === 'tls' ? tcpProxy('tunnel') : tcpProxy('tunnel', { hostname: '10.244.2.5:8080' })
  const destination = start(
    'destination',
    cores?.destination,
    bootstrapOf(
      listener(tunnelPort, inbound, transport('Downstream', folder, tunnel)),
      cluster('backend', backendPort),
    ),
  )
  const source = start(
    'source',
    cores?.source,
    bootstrapOf(
      listener(sourcePort, outbound),
      cluster('tunnel', tunnelPort, {
        ...transport('Upstream', folder, tunnel),
        ...(tunnel === 'connect' && http2()),
      }),
    ),
  )
  await Promise.all([listening(sourcePort, source), listening(tunnelPort, destination)])
  return processPair({ port: sourcePort }, [source, destination])
}

const TYPES = 'type.googleapis.com/envoy.extensions'

function bootstrapOf(listener: object, cluster: object): object {
  return { static_resources: { listeners: [listener], clusters: [cluster] } }
}

function listener(port: number, filter: object, transportSocket: object = {}): object {
  return { name: 'in', address: address(port), filter_chains: [{ filters: [filter], ...transportSocket }] }
}

function cluster(name: string, port: number, more: object = {}): object {
  const endpoint = { endpoint: { address: address(port) } }
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [endpoint] }] },
    // The default allows 1,024 of each.
    circuit_breakers: {
      thresholds: [{ max_connections: 100_000, max_pending_requests: 100_000, max_requests: 100_000 }],
    },
    ...more,
  }
}

function tcpProxy(cluster: string, tunneling?: object): object {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': `${TYPES}.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: 'tcp',
      cluster,
      idle_timeout: '0s',
      ...(tunneling && { tunneling_config: tunneling }),
    },
  }
}

function connectTerminator(): object {
  const route = {
    match: { connect_matcher: {} },
    route: { cluster: 'backend', timeout: '0s', upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] },
  }
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'hbone',
      codec_type: 'HTTP2',
      stream_idle_timeout: '0s',
      http2_protocol_options: { allow_connect: true },
      upgrade_configs: [{ upgrade_type: 'CONNECT' }],
      route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` },
        },
      ],
    },
  }
}

function http2(): object {
  const options = {
    '@type': `${TYPES}.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: { http2_protocol_options: {} },
  }
  return { typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': options } }
}

function transport(side: 'Upstream' | 'Downstream', folder: string, tunnel: 'tls' | 'connect'): object {
  const file = (name: string) => ({ filename: `${folder}/${name}.pem` })
  return {
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${TYPES}.transport_sockets.tls.v3.${side}TlsContext`,
        ...(side === 'Downstream' && { require_client_certificate: true }),
        ...(side === 'Upstream' && { max_session_keys: 0 }),
        common_tls_context: {
          tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
          tls_certificates: [{ certificate_chain: file('chain'), private_key: file('key') }],
          validation_context: { trusted_ca: file('roots') },
          ...(tunnel === 'connect' && { alpn_protocols: ['h2'] }),
        },
      },
    },
  }
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}

function envoyVersion(): string | undefined {
  if (!BINARY) return undefined
  const { status, stdout } = spawnSync(BINARY, ['--version'], { encoding: 'utf8' })
  return status === 0 ? /\/(\d+\.\d+\.\d+)\//.exec(stdout)?.[1] : undefined
}
