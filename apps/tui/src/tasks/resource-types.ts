import type { GroupVersionResource } from '@ambient-lab/api'

const core = (resource: string): GroupVersionResource => ({ group: '', version: 'v1', resource })
const lab = (resource: string): GroupVersionResource => ({ group: 'ambient.lab', version: 'v1', resource })

/** The types that commands ask for by themselves; written out so that they need not load every kind. */
export const PODS = core('pods')
export const NODES = core('nodes')
export const SERVICES = core('services')
export const EVENTS = core('events')
export const CONFIG_MAPS = core('configmaps')
export const NAMESPACES = core('namespaces')
export const DEPLOYMENTS: GroupVersionResource = { group: 'apps', version: 'v1', resource: 'deployments' }
export const GATEWAYS: GroupVersionResource = {
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  resource: 'gateways',
}
export const HTTP_ROUTES: GroupVersionResource = { ...GATEWAYS, resource: 'httproutes' }
export const FAULTS = lab('faults')
export const LOADS = lab('loads')
export const LABS = lab('labs')
export const JOIN_TOKENS = lab('jointokens')
export const CONNECTIONS = lab('connections')
export const EDGES = lab('edges')
export const ROOT_ROTATIONS = lab('rootrotations')
export const CERTIFICATE_REVOCATIONS = lab('certificaterevocations')
export const REQUESTS = lab('requests')
export const PATH_REVIEWS = lab('pathreviews')
export const ANALYSES = lab('analyses')
export const POLICY_REPLAYS = lab('policyreplays')
