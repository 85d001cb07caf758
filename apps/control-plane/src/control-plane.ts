import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { KINDS } from '@ambient-lab/api'
import {
  ApiServer,
  ControlPlane,
  formatRequestLine,
  loadOrCreateAuthority,
  type RequestLogEntry,
  SqliteStore,
  type UpgradeHandler,
} from '@ambient-lab/control-plane'
import { type CertificateAuthority, NODE_GROUP, NODE_USER_PREFIX } from '@ambient-lab/pki'
import {
  CodedError,
  removeProcessRecord,
  Scope,
  systemClock,
  unseededRandom,
  writeProcessRecord,
} from '@ambient-lab/std'
import { Logging } from '@ambient-lab/telemetry'
import { createWsLinkAcceptor } from '@ambient-lab/xds'
import type { ControlPlaneConfig } from './config.ts'
import { formatKubeconfig } from './kubeconfig.ts'
import { LabFiles } from './lab-files.ts'
import { VERSION } from './version.ts'

const ROLE = 'control-plane'

export interface RunningControlPlane extends AsyncDisposable {
  /** `https://127.0.0.1:6443` */
  readonly api: string
}

/**
 * Starts a control plane in this process: store, authority, API server, links to agents; then writes what others need
 * to find it. What was started is stopped again when a later step fails.
 * @throws CodedError STORE_IN_USE, PORT_TAKEN and others, each with its next step
 */
export async function startControlPlane(config: ControlPlaneConfig): Promise<RunningControlPlane> {
  const scope = new Scope(ROLE)
  try {
    return { api: await assemble(config, scope), [Symbol.asyncDispose]: () => scope.dispose() }
  } catch (error) {
    await scope.dispose()
    throw error
  }
}

async function assemble(config: ControlPlaneConfig, scope: Scope): Promise<string> {
  const clock = systemClock
  const random = unseededRandom()
  const files = new LabFiles(config.stateDir)
  files.create()
  const logging = new Logging({
    components: { clock, sink: (line) => process.stderr.write(line) },
    init: { levels: config.logLevel, format: config.logFormat },
  })
  const store = scope.own(new SqliteStore({ init: { path: files.store }, components: { clock } }))
  const authority = loadOrCreateAuthority(files.authority, clock, config.trustDomain)
  let apiUrl = ''
  const controlPlane = scope.own(
    new ControlPlane(
      { store, clock, random, authority, log: logging.logger('discovery') },
      { version: VERSION, apiUrl: () => apiUrl, mesh: { dryRunAtZtunnel: config.dryRunAtZtunnel } },
    ),
  )
  const starting = controlPlane.start()
  const requests = logging.logger('api')
  const api = scope.own(
    new ApiServer({
      init: {
        host: config.host,
        port: config.port || files.rememberedPort(),
        tls: serverTls(authority, config.host),
        version: VERSION,
      },
      components: {
        ...{ store, clock, random, kinds: KINDS },
        onRequest: (entry: RequestLogEntry) => {
          if (requests.enabled('debug')) requests.debug(formatRequestLine(entry))
        },
      },
      hooks: { ...controlPlane.apiHooks(), upgrades: { '/discovery': discoveryUpgrade(controlPlane) } },
    }),
  )
  // Links to agents are connections of the API server too: it ends when they have ended.
  scope.defer(() => controlPlane.discovery[Symbol.asyncDispose]())
  const { port } = await listen(api, config, files)
  await starting
  apiUrl = urlOf(advertisedHost(config.host), port)
  const local = urlOf(isWildcard(config.host) ? '127.0.0.1' : config.host, port)
  publish(files, config, authority, local)
  const record = writeProcessRecord(files.processes, {
    role: ROLE,
    name: config.lab,
    ports: { api: port },
    startedAt: new Date(clock.now()).toISOString(),
  })
  scope.defer(() => removeProcessRecord(files.processes, record))
  return local
}

async function listen(api: ApiServer, config: ControlPlaneConfig, files: LabFiles): Promise<{ port: number }> {
  try {
    const address = await api.listen()
    files.rememberPort(address.port)
    return address
  } catch (error) {
    if (!CodedError.is(error, 'PORT_TAKEN') || config.port !== 0) throw error
    throw new CodedError(error.code, `${error.message}; it was this lab's, and its nodes look for it there`, {
      cause: error,
      next: `${error.next}; or remove ${files.address} to take another port, and join the nodes again`,
    })
  }
}

/** Written when everything stands: whoever reads these files finds a control plane that answers. */
function publish(files: LabFiles, config: ControlPlaneConfig, authority: CertificateAuthority, api: string): void {
  const admin = authority.issueClient({ commonName: 'ambient-admin', organizations: ['system:masters'] })
  files.writeKubeconfig(
    formatKubeconfig({
      lab: config.lab,
      server: api,
      rootsPem: admin.rootsPem,
      certificateChainPem: admin.chainPem,
      keyPem: admin.keyPem,
    }),
  )
  files.writeLab({ name: config.lab, api, version: VERSION, now: new Date(systemClock.now()).toISOString() })
}

function serverTls(authority: CertificateAuthority, host: string) {
  const addresses = new Set(['127.0.0.1', '::1', ...(isWildcard(host) ? externalAddresses() : [])])
  const dnsNames = new Set(['localhost', 'kubernetes.default.svc', hostname().toLowerCase()])
  if (isIP(host)) addresses.add(host)
  else dnsNames.add(host)
  const server = authority.issueServer({
    commonName: 'ambient-api',
    dnsNames: [...dnsNames],
    ipAddresses: [...addresses].filter((address) => !isWildcard(address)),
  })
  return {
    certificateChainPem: server.chainPem.join(''),
    privateKeyPem: server.keyPem,
    clientCaPem: authority.rootsPem.join(''),
  }
}

/** Only agents: the certificate says which node it is. */
function discoveryUpgrade(controlPlane: ControlPlane): UpgradeHandler {
  const nodes = new WeakMap<object, string>()
  const acceptor = createWsLinkAcceptor(systemClock, (link, request) => {
    controlPlane.acceptAgent(link, nodes.get(request)!)
  })
  return ({ request, socket, head, user }) => {
    if (!user.groups.includes(NODE_GROUP) || !user.name.startsWith(NODE_USER_PREFIX)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    nodes.set(request, user.name.slice(NODE_USER_PREFIX.length))
    acceptor.accept(request, socket, head)
  }
}

function urlOf(host: string, port: number): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/** What is written into join tokens: an address that other machines reach. */
function advertisedHost(host: string): string {
  return isWildcard(host) ? (externalAddresses()[0] ?? '127.0.0.1') : host
}

function externalAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address)
}
