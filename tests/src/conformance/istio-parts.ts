import type { Resource } from '@ambient-lab/api'

type Input = Readonly<Record<string, unknown>>
type Part = (input: Input) => Resource

const METADATA = { name: 'part', namespace: 'default' }
const DESTINATION = { destination: { host: 'foo.baz' } }

function networking(kind: string, spec: object): Resource {
  return { apiVersion: 'networking.istio.io/v1', kind, metadata: METADATA, spec }
}

const http = (route: unknown, hosts = ['foo.bar']) => networking('VirtualService', { hosts, http: [route] })
const forwarding = (settings: object) => http({ route: [DESTINATION], ...settings })
const policy = (trafficPolicy: unknown) => networking('DestinationRule', { host: 'foo.bar', trafficPolicy })
const server = (settings: object) => networking('Gateway', { servers: [{ hosts: ['foo.bar'], ...settings }] })

/** Functions of Istio's validation that judge a part of a resource → the smallest resource around that part. */
export const ISTIO_PARTS: Readonly<Record<string, Part>> = {
  ValidateHTTPRoute: ({ route }) => http(route),
  ValidateRootHTTPRoute: ({ route }) => http(route),
  ValidateDelegateHTTPRoute: ({ route }) => http(route, []),
  ValidateRouteDestination: ({ routes }) => http({ route: routes }),
  ValidateDestination: ({ destination }) => http({ route: [{ destination }] }),
  ValidateCORSPolicy: ({ in: corsPolicy }) => forwarding({ corsPolicy }),
  ValidateHTTPDirectResponse: ({ directResponse }) => http({ directResponse }),
  ValidateHTTPRedirect: ({ redirect }) => http({ redirect }),
  ValidateHTTPRetry: ({ in: retries }) => forwarding({ retries }),
  ValidateHTTPRewrite: ({ in: rewrite }) => forwarding({ rewrite }),
  ValidateUriRegexRewrite: ({ in: uriRegexRewrite }) => forwarding({ rewrite: { uriRegexRewrite } }),
  ValidateHTTPFaultInjectionAbort: ({ in: abort }) => forwarding({ fault: { abort } }),
  ValidateHTTPFaultInjectionDelay: ({ in: delay }) => forwarding({ fault: { delay } }),
  ValidateHTTPStatus: ({ in: httpStatus }) => forwarding({ fault: { abort: { httpStatus } } }),
  ValidateConnectionPool: ({ in: connectionPool }) => policy({ connectionPool }),
  ValidateLoadBalancer: ({ in: loadBalancer }) => policy({ loadBalancer }),
  ValidateOutlierDetection: ({ in: outlierDetection }) => policy({ outlierDetection }),
  ValidateTrafficPolicy: ({ in: trafficPolicy }) => policy(trafficPolicy),
  ValidateTLS: ({ tls }) => policy({ tls }),
  ValidateServer: ({ in: settings }) => networking('Gateway', { servers: [settings] }),
  ValidateServerPort: ({ in: port }) => server({ port }),
  ValidateTlsOptions: ({ in: tls }) => server({ port: { number: 443, name: 'https', protocol: 'HTTPS' }, tls }),
}
