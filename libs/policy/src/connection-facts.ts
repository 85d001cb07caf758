import type { SpiffeId } from '@ambient-lab/pki'
import type { Facts } from './facts.ts'
import { type IpAddress, ipBits, parseIp } from './ip.ts'

export interface ConnectionFactsInit {
  /** Client's IP literal: the workload that opened the connection, not a proxy in between. */
  readonly sourceIp: string
  /** At a workload its own address, after translation; at a waypoint the address that the client dialled. */
  readonly destinationIp: string
  /** At a workload the container port, after translation; at a waypoint the service's port. */
  readonly destinationPort: number
  /** From the client certificate; undefined for plaintext. */
  readonly identity: SpiffeId | undefined
  /** SNI, where somebody looked into the client's TLS. */
  readonly serverName?: string
}

/** What policy may ask about one connection. Derived values are made when the first matcher wants them. */
export class ConnectionFacts implements Facts {
  readonly init: ConnectionFactsInit
  #principal: string | undefined
  #account: string | undefined
  #source: IpAddress | undefined
  #sourceBits: string | undefined
  #destination: IpAddress | undefined

  constructor(init: ConnectionFactsInit) {
    this.init = init
  }

  get connection(): ConnectionFacts {
    return this
  }

  get request(): undefined {
    return undefined
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

  /** `namespace/service account`; undefined without identity. */
  get account(): string | undefined {
    const { identity } = this.init
    if (!identity) return undefined
    this.#account ??= `${identity.namespace}/${identity.serviceAccount}`
    return this.#account
  }

  get source(): IpAddress | undefined {
    this.#source ??= parseIp(this.init.sourceIp)
    return this.#source
  }

  /** The source as `ipBits` writes it; undefined when it is no address. */
  get sourceBits(): string | undefined {
    this.#sourceBits ??= this.source && ipBits(this.source)
    return this.#sourceBits
  }

  get destination(): IpAddress | undefined {
    this.#destination ??= parseIp(this.init.destinationIp)
    return this.#destination
  }

  get remote(): IpAddress | undefined {
    return this.source
  }

  get remoteIp(): string {
    return this.init.sourceIp
  }

  /** Empty where there is none, as Envoy has it. */
  get serverName(): string {
    return this.init.serverName ?? ''
  }
}
