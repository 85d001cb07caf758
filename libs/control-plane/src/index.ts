export * from './api-server/index.ts'
export { CaService, loadOrCreateAuthority } from './ca-service.ts'
export { Cluster, type ClusterComponents } from './cluster.ts'
export * from './control-plane.ts'
export { waypointBound } from './controllers/waypoint-status.ts'
export { DiscoveryService, RECONNECT_GRACE_MS } from './discovery-service.ts'
export * from './extension-provider.ts'
export { backendTlsFindings } from './gateways/backend-tls-status.ts'
export { classAccepted } from './gateways/gateway-classes.ts'
export type { GatewayService, GatewayServices } from './gateways/gateway-services.ts'
export { gatewayFindings, listenerSetFindings } from './gateways/gateway-status.ts'
export { foreignParents, isSameParent, routeFindings } from './gateways/route-status.ts'
export type { JoinReply, JoinRequest } from './join.ts'
export { type ControlPlaneLog, SILENT_LOG } from './log.ts'
export * from './mesh-config.ts'
export {
  type IstioGatewayProxy,
  istioGatewayChains,
} from './routing/istio-gateway-chains.ts'
export * from './scheduler.ts'
export { MemoryStore } from './store/memory-store.ts'
export { SqliteStore, type SqliteStoreInit } from './store/sqlite-store.ts'
export type * from './store/store.ts'
export * from './stored-kinds.ts'
export { convertAuthorizationPolicy } from './translate/authorization.ts'
export { parseCidr } from './translate/cidr.ts'
export { sliceWorkloads } from './translate/endpoint-slice.ts'
export { entryCandidate, selectEntries } from './translate/entry-selection.ts'
export {
  type AuthorizationMesh,
  type HttpPolicyFinding,
  type HttpTranslation,
  translateHttpAuthorization,
  translateTcpAuthorization,
} from './translate/http-authorization.ts'
export { translateJwtRequirement } from './translate/jwt-requirement.ts'
export { meshService } from './translate/mesh-service.ts'
export { isWorkloadLevel } from './translate/mutual-tls.ts'
export { convertedPolicy } from './translate/peer-authentication.ts'
export { podWorkload } from './translate/pod-workload.ts'
export { entryServices, serviceEntryWorkloads, toNetworkAddress } from './translate/service-entry.ts'
export { serviceScope } from './translate/service-scope.ts'
export { Translator, type TranslatorComponents } from './translate/translator.ts'
export { type ObjectReader, TranslationView } from './translate/view.ts'
export { allowedRoutes, inboundBinding } from './translate/waypoint.ts'
export { owningWaypoints, serviceWaypoint } from './translate/waypoint-attachment.ts'
export { workloadEntryWorkload } from './translate/workload-entry.ts'
