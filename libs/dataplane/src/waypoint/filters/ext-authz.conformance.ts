import type { HttpAuthorization } from '@ambient-lab/policy'
import type { ExtAuthz, ExtAuthzHttp } from '@ambient-lab/xds'

export const AUTHZ_HTTP: ExtAuthzHttp = {
  pathPrefix: '/check',
  requestHeaders: [],
  additionalHeaders: [],
  upstreamOnAllow: [],
  downstreamOnDeny: [],
  downstreamOnAllow: [],
}

/** An authorizer in a cluster of its name. */
export const AUTHZ: ExtAuthz = {
  provider: 'authz',
  protocol: 'http',
  cluster: 'authz',
  authority: 'authz',
  timeoutMs: 500,
  failOpen: false,
  statusOnError: 403,
  clearRouteCache: false,
  http: AUTHZ_HTTP,
}

/** Has it asked about every request. */
export const ASK_ALWAYS: HttpAuthorization = {
  name: 'ask',
  namespace: 'default',
  action: 'CUSTOM',
  provider: { name: 'authz' },
  rules: [{ index: 0, clauses: [] }],
  dryRun: false,
}
