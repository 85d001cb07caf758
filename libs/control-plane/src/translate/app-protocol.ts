import type { ServicePort } from '@ambient-lab/xds'

type AppProtocol = ServicePort['appProtocol']

const BY_WORD: Readonly<Record<string, AppProtocol>> = {
  http: 'HTTP11',
  http2: 'HTTP2',
  h2c: 'HTTP2',
  'kubernetes.io/h2c': 'HTTP2',
  grpc: 'GRPC',
  'grpc-web': 'GRPC',
  tcp: 'TCP',
  tls: 'TLS',
  https: 'TLS',
}

/** Istio's protocol selection: `appProtocol`, else the port's name up to its dash. */
export function appProtocolOf(port: { readonly appProtocol?: string; readonly name?: string }): AppProtocol {
  if (port.appProtocol) return BY_WORD[port.appProtocol.toLowerCase()] ?? 'UNKNOWN'
  const name = (port.name ?? '').toLowerCase()
  if (name.startsWith('grpc-web')) return 'GRPC'
  return BY_WORD[name.split('-')[0]!] ?? 'UNKNOWN'
}
