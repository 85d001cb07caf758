export * from './address.ts'
export { type CapturedConnection, CaptureHandshake } from './capture/redirect.ts'
export { type Resolution, type ResolveRequest, resolveHost } from './capture/resolver.ts'
export * from './certificate-report.ts'
export { answerQuestion, type DnsAnswer, type DnsQuestion, type DnsRecord } from './dns/answer.ts'
export { DnsMetrics } from './dns/dns-metrics.ts'
export { DnsServer } from './dns/dns-server.ts'
export { SystemDnsUpstream } from './dns/dns-upstream.ts'
export * from './errors.ts'
export * from './http1/index.ts'
export * from './http2/index.ts'
export * from './memory-plain-network.ts'
export * from './plain-network.ts'
export { uuid } from './random-id.ts'
export type { SidecarPod } from './sidecar/sidecar.ts'
export { type Endpoint, type EndpointSet, targetPortOf } from './state/endpoint-set.ts'
export { ProxyState, serviceKeyOf } from './state/proxy-state.ts'
export * from './state/proxy-state-holder.ts'
export * from './stream/index.ts'
export * from './trust-feed.ts'
export {
  encodeConnect,
  innerRequest,
  type LinkConditions,
  LinkFaults,
  MemoryNetwork,
  MemoryTransport,
  type PoolTarget,
  type SvidLookup,
  type Transport,
  TunnelPool,
  type TunnelSession,
  WsMtlsTransport,
} from './tunnel/index.ts'
export { ProtoMessage, ProtoWriter } from './waypoint/grpc/protobuf.ts'
export * from './waypoint/path-normalization.ts'
export { checkProxyResource } from './waypoint/proxy-config.ts'
export type { CompilePattern } from './waypoint/router/matchers.ts'
export { type RoutedRequest, RouteTable } from './waypoint/router/route-table.ts'
export { Tracing } from './waypoint/tracing.ts'
export * from './waypoint/waypoint.ts'
export { ConnectionSpans } from './ztunnel/connection-spans.ts'
export { joinTraffic } from './ztunnel/edge-table.ts'
export { formatForwarded } from './ztunnel/forwarded.ts'
export { type InboundPlan, planInbound } from './ztunnel/inbound-plan.ts'
export { chooseEndpoint } from './ztunnel/load-balancing.ts'
export type { LocalWorkload } from './ztunnel/local-workload.ts'
export * from './ztunnel/local-workloads.ts'
export { type OutboundPlan, type OutboundRequest, planOutbound, planUncaptured } from './ztunnel/outbound-plan.ts'
export * from './ztunnel/proxy-protocol.ts'
export { errorCodeOf, OUTCOMES, type Outcome, type ResponseFlag } from './ztunnel/response-flags.ts'
export * from './ztunnel/ztunnel.ts'
