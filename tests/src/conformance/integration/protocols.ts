/** What the echo program speaks on each container port of the world; Istio's own test app has the same ones. */
export const PROTOCOL_OF_PORT: Readonly<Record<number, Protocol>> = {
  18080: 'http',
  18081: 'http',
  18082: 'http',
  18086: 'http',
  18085: 'http2',
  17070: 'http2',
  17071: 'http2',
  18443: 'tls',
  19443: 'tls',
  19090: 'tcp',
  19091: 'tcp',
  16060: 'tcp-server-first',
  // 18084 is the app's loopback in the world, and 18087 wants a PROXY header: neither is there for a call by address.
}

export type Protocol = 'http' | 'http2' | 'tls' | 'tcp' | 'tcp-server-first'

/** What the program says about a request that it got. */
export interface EchoReply {
  readonly pod: string
  readonly path: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}
