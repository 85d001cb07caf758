/** A service outside policies that they can name: MeshConfig's `extensionProviders`, as far as the lab knows them. */
export interface ExtensionProvider {
  /** A DNS label. */
  readonly name: string
  readonly envoyExtAuthzHttp?: ExtAuthzHttpProvider
  readonly envoyExtAuthzGrpc?: ExtAuthzProvider
  /** Where spans go, by OTLP over HTTP. */
  readonly opentelemetry?: OpenTelemetryProvider
  /** A format of the access log. */
  readonly envoyFileAccessLog?: {
    readonly path?: string
    readonly logFormat?: { readonly text?: string; readonly labels?: Readonly<Record<string, string>> }
  }
}

/** Istio's OpenTelemetryTracingProvider, as far as the lab knows it. */
export interface OpenTelemetryProvider {
  /** `namespace/host` or `host`. */
  readonly service: string
  readonly port: number
  readonly http?: { readonly path?: string }
}

/** Istio's EnvoyExternalAuthorizationGrpcProvider; durations as Istio writes them, `600s`. */
export interface ExtAuthzProvider {
  /** `namespace/host` or `host`. */
  readonly service: string
  readonly port: number
  /** @default '600s' */
  readonly timeout?: string
  /** Whether a request passes when the service cannot be asked. @default false */
  readonly failOpen?: boolean
  /** Status of the refusal when the service cannot be asked. @default '403' */
  readonly statusOnError?: string
  readonly clearRouteCache?: boolean
  readonly includeRequestBodyInCheck?: {
    readonly maxRequestBytes: number
    readonly allowPartialMessage?: boolean
    readonly packAsBytes?: boolean
  }
}

/** Istio's EnvoyExternalAuthorizationHttpProvider. Names of headers may begin or end with `*`. */
export interface ExtAuthzHttpProvider extends ExtAuthzProvider {
  readonly pathPrefix?: string
  readonly includeRequestHeadersInCheck?: readonly string[]
  /** The older spelling, which counts when the other is not there. */
  readonly includeHeadersInCheck?: readonly string[]
  readonly includeAdditionalHeadersInCheck?: Readonly<Record<string, string>>
  readonly headersToUpstreamOnAllow?: readonly string[]
  readonly headersToDownstreamOnDeny?: readonly string[]
  readonly headersToDownstreamOnAllow?: readonly string[]
}

/**
 * Why CUSTOM policies cannot ask the provider of that name; undefined when they can. Such policies deny what they match.
 * @see istiod `processExtensionProvider`
 */
export function extAuthzProblem(providers: readonly ExtensionProvider[], name: string): string | undefined {
  const named = providers.filter((provider) => provider.name === name)
  const [provider] = named
  if (!provider) return `no extension provider ${JSON.stringify(name)} in the mesh settings`
  if (named.length > 1) return `several extension providers are called ${name}`
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return `${name} is no DNS label`
  const { envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = provider
  if (!http && !grpc) return `extension provider ${name} does no external authorization`
  return (http && httpProblem(http)) ?? serviceProblem(http ?? grpc!)
}

function serviceProblem(provider: ExtAuthzProvider): string | undefined {
  const { service, port, statusOnError, includeRequestBodyInCheck: body } = provider
  if (!service) return 'it names no service'
  if (body && !(body.maxRequestBytes > 0)) return 'includeRequestBodyInCheck.maxRequestBytes is not above 0'
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return `port ${port} is not from 1 to 65535`
  if (statusOnError === undefined || statusOnError === '') return undefined
  return HTTP_STATUSES.has(Number(statusOnError)) ? undefined : `statusOnError ${statusOnError} is not supported`
}

function httpProblem(provider: ExtAuthzHttpProvider): string | undefined {
  const { pathPrefix } = provider
  if (pathPrefix && !pathPrefix.startsWith('/')) return `pathPrefix ${pathPrefix} does not begin with /`
  if (!/^[\x21-\x7e]*$/.test(pathPrefix ?? '')) return `pathPrefix ${JSON.stringify(pathPrefix)} is no path`
  for (const [name, value] of Object.entries(provider.includeAdditionalHeadersInCheck ?? {})) {
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) return `${JSON.stringify(name)} is no name of a header`
    if (!/^[\t\x20-\x7e]*$/.test(value)) return `the value of ${name} is none that a header can have`
  }
  const lists = [
    provider.includeRequestHeadersInCheck,
    provider.includeHeadersInCheck,
    provider.headersToDownstreamOnDeny,
    provider.headersToDownstreamOnAllow,
    provider.headersToUpstreamOnAllow,
  ]
  return lists.some((names) => names?.includes('*')) ? 'a single * stands for no header' : undefined
}

/** Those that Envoy has a name for, and a response can end with. */
const HTTP_STATUSES: ReadonlySet<number> = new Set([
  ...[200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417],
  ...[421, 422, 423, 424, 426, 428, 429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511],
])
