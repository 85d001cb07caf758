import type { GatewayAddress, Locality, ServiceKey, Workload } from '@ambient-lab/xds'

/** The endpoints that a service has at one place of another network: who lets in there picks one of them. */
export interface NetworkDoor {
  readonly name: string
  readonly gateway: GatewayAddress
  readonly service: ServiceKey
  readonly locality: Locality | undefined
}

/** One endpoint of a cluster. It lives as long as the endpoint does, across updates of the cluster's configuration. */
export class UpstreamHost {
  /** Unique in its cluster, and stable: hashes of consistent balancing are made of it. */
  readonly key: string
  /** As the access log names it: `10.244.1.5:8080`. */
  readonly address: string
  readonly host: string
  readonly port: number
  readonly addedMs: number
  /** Undefined for a host outside of the mesh, for a service, and for another network. */
  workload: Workload | undefined
  /** It stands for a whole service, whose waypoint is asked which endpoint it shall be. */
  readonly isService: boolean
  /** It stands for another network; `host` and `port` are the service's own. */
  readonly network: NetworkDoor | undefined
  /** Share of traffic relative to its neighbours, before warm-up. */
  weight: number
  /** Requests that are on their way to it. */
  activeRequests = 0
  readonly health = new HostHealth()

  constructor(init: {
    readonly key: string
    readonly address: string
    readonly host: string
    readonly port: number
    readonly addedMs: number
    readonly workload?: Workload | undefined
    /** @default false */
    readonly isService?: boolean
    readonly network?: NetworkDoor | undefined
    /** @default 1 */
    readonly weight?: number
  }) {
    this.key = init.key
    this.address = init.address
    this.host = init.host
    this.port = init.port
    this.addedMs = init.addedMs
    this.workload = init.workload
    this.isService = init.isService ?? false
    this.network = init.network
    this.weight = init.weight ?? 1
  }

  get locality(): Locality | undefined {
    return this.network ? this.network.locality : this.workload?.locality
  }
}

/** What outlier detection knows of a host. */
export class HostHealth {
  isEjected = false
  ejectedUntilMs = 0
  /** Ejections that were not yet forgiven: each makes the next one longer. */
  ejections = 0
  /** When the last ejection ended. */
  returnedMs = 0
  consecutive5xx = 0
  consecutiveGatewayErrors = 0
  consecutiveLocalOriginFailures = 0
}
