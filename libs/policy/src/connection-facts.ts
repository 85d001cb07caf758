import type { SpiffeId } from '@ambient-lab/pki'
import { type IpAddress, parseIp } from './ip.ts'

export interface ConnectionFactsInit {
  /** Client's IP literal: the workload that opened the connection, not a proxy in between. */
  readonly sourceIp: string
  /** The workload's own address, after translation. */
  readonly destinationIp: string
  /** The container port, after translation. */
  readonly destinationPort: number
  /** From the client certificate; undefined for plaintext. */
  readonly identity: SpiffeId | undefined
}

/** What L4 policy may ask about one connection. Derived values are made when the first matcher wants them. */
export class ConnectionFacts {
  readonly init: ConnectionFactsInit
  #principal: string | undefined
  #source: IpAddress | undefined
  #destination: IpAddress | undefined

  constructor(init: ConnectionFactsInit) {
    this.init = init
  }

  get identity(): SpiffeId | undefined {
    return this.init.identity
  }

  get destinationPort(): number {
    return this.init.destinationPort
  }

  /** The identity without `spiffe://`, as policies write it; undefined without identity. */
  get principal(): string | undefined {
    const { identity } = this.init
    if (!identity) return undefined
    this.#principal ??= `${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`
    return this.#principal
  }

  get source(): IpAddress | undefined {
    this.#source ??= parseIp(this.init.sourceIp)
    return this.#source
  }

  get destination(): IpAddress | undefined {
    this.#destination ??= parseIp(this.init.destinationIp)
    return this.#destination
  }
}
