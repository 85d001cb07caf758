import {
  type IstioGatewayProxy,
  istioGatewayChains,
  SERVICE_ENTRIES,
  type TranslationView,
} from '@ambient-lab/control-plane'
import { RouteTable } from '@ambient-lab/dataplane'
import { LinearRegex } from '@ambient-lab/policy'
import type { FilterChain, Route } from '@ambient-lab/xds'

export interface SimulatedCall {
  readonly port: number
  readonly hostHeader?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, readonly string[]>>
  readonly protocol: 'http' | 'http2' | 'tcp'
  readonly tls?: 'plaintext' | 'tls' | 'mtls'
  readonly sni?: string
}

/** What becomes of a call: the cluster that it is sent to, or the kind of error. */
export interface Simulated {
  readonly clusterMatched?: string
  readonly virtualHostMatched?: string
  readonly error?: 'ErrNoListener' | 'ErrNoFilterChain' | 'ErrNoRoute' | 'ErrTLSRedirect' | 'ErrProtocolError'
}

/** The gateway of the upstream test; its services are the entries that have its address. */
export function gatewayProxy(view: TranslationView, labels: Readonly<Record<string, string>>): IstioGatewayProxy {
  const services = view
    .list(SERVICE_ENTRIES)
    .filter(({ spec }) => spec?.endpoints?.some(({ address }) => address === PROXY_ADDRESS))
    .filter(({ metadata }) => metadata.labels?.['experimental.istio.io/disable-gateway-port-translation'] !== 'true')
  return {
    ...{ proxy: 'istio-system/ingressgateway', namespace: 'istio-system', labels },
    targetPorts: (port) =>
      services.flatMap(({ spec }) =>
        (spec?.ports ?? []).flatMap(({ number, targetPort = number }) => (number === port ? targetPort : [])),
      ),
  }
}

const PROXY_ADDRESS = '1.1.1.1'

/** Sends a call through the chains, with the data plane's own route table. */
export function simulate(proxy: IstioGatewayProxy, call: SimulatedCall, view: TranslationView): Simulated {
  const chains = istioGatewayChains(proxy, view).filter(
    ({ match }) => match.kind === 'listener' && match.port === call.port,
  )
  if (chains.length === 0) return { error: 'ErrNoListener' }
  const usesTls = call.tls === 'tls' || call.tls === 'mtls'
  const chain = chains.find((one) => (one.tls !== undefined) === usesTls && takesName(one, call))
  if (!chain) return { error: 'ErrNoFilterChain' }
  if (chain.http && call.protocol !== 'tcp') return routed(chain.http.virtualHosts, call)
  const cluster = chain.tcp?.routes[0]?.backends[0]?.cluster
  return cluster === undefined ? { error: 'ErrProtocolError' } : { clusterMatched: cluster }
}

function takesName({ match }: FilterChain, { sni, hostHeader = '' }: SimulatedCall): boolean {
  const names = match.kind === 'listener' ? match.serverNames : []
  return names.length === 0 || names.includes(sni ?? hostHeader)
}

function routed(
  virtualHosts: NonNullable<FilterChain['http']>['virtualHosts'],
  { hostHeader = '', path = '/', headers = {} }: SimulatedCall,
): Simulated {
  const lower = new Map(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), values.join(',')]))
  const table = new RouteTable<{ readonly route: Route; readonly host: string }>({
    virtualHosts,
    compilePattern: (pattern) => LinearRegex.compile(pattern),
    prepare: (route, host) => ({ route, host: host.name }),
  })
  const found = table.find({
    ...{ method: 'GET', scheme: 'http', authority: hostHeader, path },
    headers: { getJoined: (name) => lower.get(name) },
  })
  if (!found) return { error: 'ErrNoRoute' }
  const { action } = found.route
  if (action.kind === 'redirect') return { error: 'ErrTLSRedirect', virtualHostMatched: found.host }
  const cluster = action.kind === 'forward' ? action.forward.backends[0]?.cluster : undefined
  return { virtualHostMatched: found.host, ...(cluster !== undefined && { clusterMatched: cluster }) }
}
