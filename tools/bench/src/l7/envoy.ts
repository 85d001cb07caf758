import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { pinned } from '../l4/cores.ts'
import { envoy as pair } from '../l4/envoy.ts'
import { freePort, listening } from '../l4/pair.ts'
import { GRPC_PATH, type HttpPeer, type HttpProxyInit, processProxy } from './http-peer.ts'
import { TOKEN_ISSUER, TOKEN_KEYS } from './token.ts'

const TYPES = 'type.googleapis.com/envoy.extensions'

/**
 * One Envoy with what a waypoint does to a request: routes, a DENY policy, its statistics, an access log.
 * @param features jwt: it verifies a token before, with a cache as a waypoint has one
 */
export function envoy(features: 'full' | 'jwt'): HttpPeer {
  const { version, absence } = pair
  const name = features === 'jwt' ? 'envoy, with a token' : 'envoy, same features'
  return { name, version, absence, start: (init) => startEnvoy(features, init) }
}

async function startEnvoy(features: 'full' | 'jwt', { folder, backendPort, grpcPort, core }: HttpProxyInit) {
  const port = await freePort()
  const path = `${folder}/envoy-http.json`
  writeFileSync(path, JSON.stringify(bootstrapOf({ port, backendPort, grpcPort, features })))
  const flags = ['-c', path, '--concurrency', '1', '--disable-hot-restart', '-l', 'critical']
  const [command, args] = pinned(core, process.env.AMBIENT_BENCH_ENVOY!, flags)
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  await listening(port, child)
  return processProxy({ port }, child)
}

interface BootstrapInit {
  readonly port: number
  readonly backendPort: number
  readonly grpcPort: number
  readonly features: 'full' | 'jwt'
}

function bootstrapOf({ port, backendPort, grpcPort, features }: BootstrapInit): object {
  const manager = {
    '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'web',
    access_log: [
      { name: 'log', typed_config: { '@type': `${TYPES}.access_loggers.file.v3.FileAccessLog`, path: '/dev/null' } },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [
            { match: { path_separated_prefix: '/admin' }, direct_response: { status: 404 } },
            { match: { prefix: GRPC_PATH }, route: routeTo('grpc') },
            { match: { prefix: '/' }, route: routeTo('backend') },
          ],
        },
      ],
    },
    http_filters: [
      ...(features === 'jwt' ? [{ name: 'jwt', typed_config: jwtAuthn() }] : []),
      { name: 'rbac', typed_config: { '@type': `${TYPES}.filters.http.rbac.v3.RBAC`, rules: denyAdmin() } },
      { name: 'router', typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` } },
    ],
  }
  const filters = [{ name: 'http', typed_config: manager }]
  return {
    static_resources: {
      listeners: [{ name: 'in', address: address(port), filter_chains: [{ filters }] }],
      clusters: [clusterOf('backend', backendPort), { ...clusterOf('grpc', grpcPort), ...SPEAKS_HTTP2 }],
    },
  }
}

function routeTo(cluster: string): object {
  return { cluster, retry_policy: { retry_on: 'connect-failure,refused-stream', num_retries: 2 } }
}

function clusterOf(name: string, port: number): object {
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }]
  return { name, type: 'STATIC', load_assignment: { cluster_name: name, endpoints } }
}

const SPEAKS_HTTP2 = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': `${TYPES}.upstreams.http.v3.HttpProtocolOptions`,
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
}

function jwtAuthn(): object {
  const provider = {
    issuer: TOKEN_ISSUER,
    local_jwks: { inline_string: TOKEN_KEYS },
    jwt_cache_config: { jwt_cache_size: 100 },
  }
  return {
    '@type': `${TYPES}.filters.http.jwt_authn.v3.JwtAuthentication`,
    providers: { bench: provider },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'bench' } }],
  }
}

function denyAdmin(): object {
  const rules = [
    { header: { name: ':method', string_match: { exact: 'DELETE' } } },
    { url_path: { path: { prefix: '/admin' } } },
  ]
  return {
    action: 'DENY',
    policies: { admin: { permissions: [{ and_rules: { rules } }], principals: [{ any: true }] } },
  }
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}
