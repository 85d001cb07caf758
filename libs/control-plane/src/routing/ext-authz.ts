import { parseDuration } from '@ambient-lab/std'
import type { ExtAuthz, ExtAuthzHttp } from '@ambient-lab/xds'
import type { ExtAuthzHttpProvider, ExtAuthzProvider } from '../extension-provider.ts'
import { wholeHost } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { outboundCluster } from './cluster-names.ts'

const TIMEOUT_MS_DEFAULT = 600_000
const FORBIDDEN = 403

/** A provider of the mesh settings as a proxy asks it; none when there is no such provider. */
export function extAuthzOf(name: string, view: Pick<TranslationView, 'mesh'>): ExtAuthz[] {
  const provider = view.mesh.extensionProviders.find((one) => one.name === name)
  const settings = provider?.envoyExtAuthzHttp ?? provider?.envoyExtAuthzGrpc
  if (!provider || !settings) return []
  const host = providerHost(settings, view)
  const body = settings.includeRequestBodyInCheck
  return [
    {
      provider: name,
      protocol: provider.envoyExtAuthzHttp ? 'http' : 'grpc',
      cluster: outboundCluster(host, settings.port),
      authority: host,
      timeoutMs: parseDuration(settings.timeout ?? '') || TIMEOUT_MS_DEFAULT,
      failOpen: settings.failOpen ?? false,
      statusOnError: Number(settings.statusOnError || FORBIDDEN),
      clearRouteCache: settings.clearRouteCache ?? false,
      ...(body && {
        requestBody: {
          maxBytes: body.maxRequestBytes,
          allowPartial: body.allowPartialMessage ?? false,
          packAsBytes: body.packAsBytes ?? false,
        },
      }),
      ...(provider.envoyExtAuthzHttp && { http: httpSettings(provider.envoyExtAuthzHttp) }),
    },
  ]
}

/** `namespace/host` or `host`; a short name is one of the root namespace. */
export function providerHost(
  { service }: Pick<ExtAuthzProvider, 'service'>,
  { mesh }: Pick<TranslationView, 'mesh'>,
): string {
  const host = service.slice(service.indexOf('/') + 1)
  return wholeHost(host, mesh.rootNamespace, mesh.clusterDomain)
}

function httpSettings(provider: ExtAuthzHttpProvider): ExtAuthzHttp {
  const lower = (names: readonly string[] = []) => names.map((name) => name.toLowerCase())
  const additional = Object.entries(provider.includeAdditionalHeadersInCheck ?? {})
  return {
    pathPrefix: provider.pathPrefix ?? '',
    requestHeaders: lower(provider.includeRequestHeadersInCheck ?? provider.includeHeadersInCheck),
    additionalHeaders: additional.map(([name, value]) => ({ name: name.toLowerCase(), value })),
    upstreamOnAllow: lower(provider.headersToUpstreamOnAllow),
    downstreamOnDeny: lower(provider.headersToDownstreamOnDeny),
    downstreamOnAllow: lower(provider.headersToDownstreamOnAllow),
  }
}
