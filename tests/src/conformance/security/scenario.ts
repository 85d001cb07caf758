import type { Resource } from '@ambient-lab/api'
import { normalizePath } from '@ambient-lab/dataplane'
import { parseSpiffeId } from '@ambient-lab/pki'
import { ConnectionFacts } from '@ambient-lab/policy'
import type { Call, World, WorldWorkload } from './cases.ts'
import { type EnforcementSubject, type HttpCall, type HttpOutcome, PolicyProxy } from './policy-proxy.ts'

/** What became of a call: of TCP whether the connection went on. */
export type CallOutcome = { readonly connected: boolean } | HttpOutcome

const GATEWAY_IP = '10.244.9.9'
const CLIENT_IP = '10.0.0.7'
const GATEWAY_LABELS = { app: 'ingressgateway', istio: 'ingressgateway' }
const GATEWAY_ID = parseSpiffeId('spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway')

interface Route {
  readonly hosts: readonly string[]
  readonly service: string
}

/** The manifests of one item in the corpus's world: every workload and every gateway has its own proxy. */
export class Scenario {
  readonly #world: World
  readonly #objects: readonly Resource[]
  readonly #jwks: string
  readonly #proxies = new Map<string, PolicyProxy>()

  constructor(world: World, objects: readonly Resource[], jwks: string) {
    this.#world = world
    this.#objects = objects
    this.#jwks = jwks
  }

  async run(call: Call): Promise<CallOutcome> {
    return call.from === 'ingress' ? this.#ingress(call) : this.#between(this.#workload(call.from), call)
  }

  async #between(source: WorldWorkload, call: Call): Promise<CallOutcome> {
    const destination = this.#workload(call.to ?? '')
    const { protocol, servicePort = 0, workloadPort = 0 } = call.port
    const connection = new ConnectionFacts({
      identity: parseSpiffeId(`spiffe://${source.principal}`),
      sourceIp: source.podIP,
      destinationIp: destination.podIP,
      destinationPort: workloadPort,
      // What Istio's own clients put there.
      serverName: `outbound_.${servicePort}_._.${hostOf(destination)}`,
    })
    const proxy = this.#proxyOf(destination)
    if (protocol === 'TCP') return { connected: proxy.connect(connection) }
    return requestThrough(proxy, connection, httpCall(call, `${hostOf(destination)}:${servicePort}`))
  }

  /** Plaintext to the gateway, then with the gateway's identity to where the host's route leads. */
  async #ingress(call: Call): Promise<CallOutcome> {
    const asked = httpCall(call, '')
    const outer = new ConnectionFacts({
      identity: undefined,
      sourceIp: CLIENT_IP,
      destinationIp: GATEWAY_IP,
      destinationPort: 80,
    })
    const gateway = this.#proxyOf(this.#gatewayFor(asked.authority))
    const outcome = await requestThrough(gateway, outer, { ...asked, remoteIp: asked.headers['x-forwarded-for'] })
    if (!('passed' in outcome)) return outcome
    const destination = this.#workload(this.#routeOf(asked.authority))
    const inner = new ConnectionFacts({
      identity: GATEWAY_ID,
      sourceIp: GATEWAY_IP,
      destinationIp: destination.podIP,
      destinationPort: 18_080,
    })
    return this.#proxyOf(destination).request(inner, outcome.passed)
  }

  #proxyOf(subject: EnforcementSubject): PolicyProxy {
    const name = JSON.stringify([subject.namespace, subject.labels, subject.gateway])
    const proxy = this.#proxies.get(name) ?? new PolicyProxy(subject, this.#objects, this.#jwks)
    this.#proxies.set(name, proxy)
    return proxy
  }

  #workload(name: string): WorldWorkload {
    const found = this.#world.workloads.find(({ namespace, service }) => `${namespace}/${service}` === name)
    if (!found) throw new Error(`no workload ${name}`)
    return found
  }

  /** One of the Gateway API that listens for the host, else Istio's own. */
  #gatewayFor(host: string): EnforcementSubject {
    for (const { apiVersion, kind, metadata, spec } of this.#objects) {
      if (kind !== 'Gateway' || !apiVersion.startsWith('gateway.networking.k8s.io/')) continue
      const { listeners } = spec as { listeners: readonly { hostname: string }[] }
      if (!listeners.some(({ hostname }) => fits(hostname, host))) continue
      const { name, namespace = '' } = metadata
      return { namespace, labels: { 'gateway.networking.k8s.io/gateway-name': name }, gateway: name }
    }
    return { namespace: 'istio-system', labels: GATEWAY_LABELS }
  }

  #routeOf(host: string): string {
    const route = this.#objects.flatMap(routesOf).find(({ hosts }) => hosts.some((pattern) => fits(pattern, host)))
    if (!route) throw new Error(`no route for ${host}`)
    return route.service
  }
}

function routesOf({ kind, metadata, spec }: Resource): Route[] {
  if (kind === 'HTTPRoute') {
    const { hostnames, rules } = spec as {
      hostnames: readonly string[]
      rules: readonly { backendRefs: readonly { name: string }[] }[]
    }
    return [{ hosts: hostnames, service: `${metadata.namespace}/${rules[0]?.backendRefs[0]?.name}` }]
  }
  if (kind !== 'VirtualService') return []
  const { hosts, http } = spec as {
    hosts: readonly string[]
    http: readonly { route: readonly { destination: { host: string } }[] }[]
  }
  const [service = '', namespace = ''] = http[0]?.route[0]?.destination.host.split('.') ?? []
  return [{ hosts, service: `${namespace}/${service}` }]
}

/** `*.a.com` or a whole name; case is ignored. */
function fits(pattern: string, host: string): boolean {
  const lower = host.toLowerCase()
  return pattern.startsWith('*') ? lower.endsWith(pattern.slice(1)) : lower === pattern
}

async function requestThrough(proxy: PolicyProxy, connection: ConnectionFacts, call: HttpCall): Promise<HttpOutcome> {
  const path = normalizePath(call.path, 'BASE')
  return path === undefined ? { status: 400 } : proxy.request(connection, { ...call, path })
}

function httpCall({ port, method, path, headers = {} }: Call, authority: string): HttpCall {
  const isGrpc = port.protocol === 'GRPC'
  const lines = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const { host = authority, ...others } = lines
  // The corpus has lost the method of preflight requests; upstream sends what makes them such.
  const isPreflight = others['access-control-request-method'] !== undefined
  return {
    method: isGrpc ? 'POST' : (method ?? (isPreflight ? 'OPTIONS' : 'GET')),
    path: isGrpc ? '/proto.EchoTestService/Echo' : path || '/',
    authority: host,
    remoteIp: undefined,
    headers: others,
  }
}

function hostOf({ service, namespace }: WorldWorkload): string {
  return `${service}.${namespace}.svc.cluster.local`
}
