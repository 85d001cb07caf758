import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { pinned } from '../l4/cores.ts'
import { envoy as pair } from '../l4/envoy.ts'
import { freePort, listening } from '../l4/pair.ts'
import { type HttpPeer, processProxy } from './http-peer.ts'

const TYPES = 'type.googleapis.com/envoy.extensions'

/** One Envoy with what a waypoint does to a request: routes, a DENY policy, its statistics, an access log. */
export const envoy: HttpPeer = {
  name: 'envoy, same features',
  version: pair.version,
  absence: pair.absence,
  async start({ folder, backendPort, core }) {
    const port = await freePort()
    const path = `${folder}/envoy-http.json`
    writeFileSync(path, JSON.stringify(bootstrapOf(port, backendPort)))
    const flags = ['-c', path, '--concurrency', '1', '--disable-hot-restart', '-l', 'critical']
    const [command, args] = pinned(core, process.env.AMBIENT_BENCH_ENVOY!, flags)
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    await listening(port, child)
    return processProxy(port, child)
  },
}

function bootstrapOf(port: number, backendPort: number): object {
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
            {
              match: { prefix: '/' },
              route: {
                cluster: 'backend',
                retry_policy: { retry_on: 'connect-failure,refused-stream', num_retries: 2 },
              },
            },
          ],
        },
      ],
    },
    http_filters: [
      { name: 'rbac', typed_config: { '@type': `${TYPES}.filters.http.rbac.v3.RBAC`, rules: denyAdmin() } },
      { name: 'router', typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` } },
    ],
  }
  const filters = [{ name: 'http', typed_config: manager }]
  return {
    static_resources: {
      listeners: [{ name: 'in', address: address(port), filter_chains: [{ filters }] }],
      clusters: [
        {
          name: 'backend',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'backend',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(backendPort) } }] }],
          },
        },
      ],
    },
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
