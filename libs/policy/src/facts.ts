import type { ConnectionFacts } from './connection-facts.ts'
import type { IpAddress } from './ip.ts'
import type { RequestFacts } from './request-facts.ts'

/** What policy may ask: about a connection always, about a request where there is one. */
export interface Facts {
  readonly connection: ConnectionFacts
  /** Undefined where nobody reads HTTP; every field that is about a request is absent then. */
  readonly request: RequestFacts | undefined
  /** The client that stands behind proxies in front of the mesh; the source itself when there are none. */
  readonly remote: IpAddress | undefined
  readonly remoteIp: string
}
