import type { Clock, CodedError } from '@ambient-lab/std'
import type { ConnectionRate, L4Traffic, Service } from '@ambient-lab/xds'
import { dataplaneError } from '../errors.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'
import { TokenBucket } from '../token-bucket.ts'
import { EndpointEjection } from './endpoint-ejection.ts'

/** What one ztunnel knows of its own connections to one service that has an L4TrafficPolicy. */
export class ServiceLimits {
  readonly ejection: EndpointEjection
  readonly #clock: Clock
  #open = 0
  #local: Rate | undefined
  #global: Rate | undefined

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
    this.ejection = new EndpointEjection({ clock })
  }

  /** Connections that were admitted and not released. */
  get open(): number {
    return this.#open
  }

  /**
   * Takes a connection in. A connection over the limit of those that are open costs no token.
   * @param ztunnels how many share the global rate
   * @returns why not; undefined: admitted, to be released once
   */
  admit(service: Service, traffic: L4Traffic, ztunnels: number): CodedError | undefined {
    const { connectionsMax, localRate, globalRate, policy } = traffic
    if (connectionsMax !== undefined && this.#open >= connectionsMax) {
      return dataplaneError(
        'CONNECTION_LIMIT',
        `connection limit of ${service.hostname} reached: ${connectionsMax} (${policy})`,
      )
    }
    this.#local = rateFor(this.#local, localRate, 1, this.#clock)
    this.#global = rateFor(this.#global, globalRate, ztunnels, this.#clock)
    if (this.#local && !this.#local.bucket.take()) return rateLimited(service, this.#local, 'local', policy)
    if (this.#global && !this.#global.bucket.take()) return rateLimited(service, this.#global, 'global', policy)
    this.#open += 1
    return undefined
  }

  release(): void {
    this.#open -= 1
  }
}

/** The limits of all services that have any, for as long as they have. */
export class ServiceLimitsTable {
  readonly #clock: Clock
  readonly #byService = new Map<string, ServiceLimits>()

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  of(service: Service): ServiceLimits {
    const key = serviceKeyOf(service)
    const known = this.#byService.get(key)
    if (known) return known
    const limits = new ServiceLimits({ clock: this.#clock })
    this.#byService.set(key, limits)
    return limits
  }

  /** Forgets services that have no policy any more, and endpoints that are gone. */
  follow(state: ProxyState): void {
    for (const [key, limits] of this.#byService) {
      if (!state.service(key)?.l4Traffic && limits.open === 0) this.#byService.delete(key)
      else limits.ejection.keepOnly((uid) => state.workload(uid) !== undefined)
    }
  }
}

/** One rate, and the bucket of this ztunnel's share of it. */
interface Rate {
  readonly rate: ConnectionRate
  readonly sharers: number
  readonly bucket: TokenBucket
}

/** The bucket of before as long as nothing about it changed; a new one is full. */
function rateFor(
  before: Rate | undefined,
  rate: ConnectionRate | undefined,
  sharers: number,
  clock: Clock,
): Rate | undefined {
  if (!rate) return undefined
  const isSame =
    before?.sharers === sharers && before.rate.connections === rate.connections && before.rate.perMs === rate.perMs
  return isSame ? before : { rate, sharers, bucket: new TokenBucket({ clock }, shareOf(rate, sharers)) }
}

/** An equal share of a rate in whole tokens: what does not divide is made up for by the time between two fills. */
export function shareOf({ connections, perMs }: ConnectionRate, sharers: number) {
  const maxTokens = Math.max(1, Math.floor(connections / sharers))
  return { maxTokens, tokensPerFill: maxTokens, fillIntervalMs: (perMs * maxTokens * sharers) / connections }
}

function rateLimited(service: Service, { rate, sharers }: Rate, which: string, policy: string): CodedError {
  const share = sharers > 1 ? `, shared by ${sharers} nodes` : ''
  return dataplaneError(
    'CONNECTION_RATE_LIMITED',
    `${which} connection rate limit of ${service.hostname} exceeded: ${rate.connections} per ${rate.perMs} ms${share} (${policy})`,
  )
}
