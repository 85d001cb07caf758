export { encodeConnect } from './connect.ts'
export { innerRequest } from './double-tunnel.ts'
export * from './errors.ts'
export { LinkFaults } from './impairment.ts'
export type { LinkConditions } from './link-conditions.ts'
export { MemoryNetwork, MemoryTransport, type MemoryTransportComponents } from './memory-transport.ts'
export type { SvidLookup } from './mtls.ts'
export { MuxSession, type MuxSessionComponents, type MuxSessionInit } from './mux-session.ts'
export type * from './transport.ts'
export {
  type PooledStream,
  type PoolTarget,
  TunnelPool,
  type TunnelPoolComponents,
  type TunnelPoolInit,
} from './tunnel-pool.ts'
export {
  type InboundConnect,
  parseAuthority,
  TunnelServer,
  type TunnelServerComponents,
  type TunnelServerInit,
} from './tunnel-server.ts'
export { WsMtlsTransport, type WsMtlsTransportComponents } from './ws-mtls-transport.ts'
