import { ADDRESS_TYPE, AUTHORIZATION_TYPE, type VersionedResources } from '@ambient-lab/xds'
import { type Connection, describe, isSelfCall, type Ledger, type Place } from '../ledger.ts'
import { concerns, isDenied, type PolicyIntent } from '../policy.ts'
import type { AccessBook } from '../recording-access-log.ts'
import { SERVER_PORTS, SERVICE_PORTS } from '../scenario.ts'
import type { SimulatedNode } from '../simulated-node.ts'
import type { Fail } from './fail.ts'

/** What a node has acknowledged about one of its workloads: all of these policies, and which of them are its own. */
interface Enforced {
  readonly revision: number
  readonly intents: readonly PolicyIntent[]
}

interface Change {
  readonly revision: number
  /** What it was and what it is. */
  readonly intents: readonly PolicyIntent[]
}

const NOTHING: Enforced = { revision: 0, intents: [] }

/**
 * Nothing passes after a denial: once the destination's node has acknowledged the policies, no byte of a denied source
 * reaches the workload, and what stood is cut at once. While newer policies that concern the workload are on their way,
 * either answer is right. So it is for good at a workload that was removed before they came: which policies are its own
 * is said with the workload, and nobody speaks of that one any more. What it still drains ends at its deadline.
 */
export class PolicyChecker {
  readonly #fail: Fail
  readonly #ledger: Ledger
  readonly #book: AccessBook
  /** By the workload's uid. */
  readonly #enforced = new Map<string, Enforced>()
  readonly #changes: Change[] = []
  #intents: readonly PolicyIntent[] = []

  constructor(fail: Fail, ledger: Ledger, book: AccessBook) {
    this.#fail = fail
    this.#book = book
    this.#ledger = ledger
  }

  get intents(): readonly PolicyIntent[] {
    return this.#intents
  }

  /** The API has answered, and the control plane has translated it. */
  published(changed: readonly PolicyIntent[], intents: readonly PolicyIntent[]): void {
    this.#intents = intents
    this.#changes.push({ revision: this.#changes.length + 1, intents: changed })
  }

  /** A node took something over, or what it should hold has changed. @returns whether it knows all now */
  acknowledged(node: SimulatedNode, resources: VersionedResources): boolean {
    if (!isCurrent(node, resources)) return false
    const enforced = { revision: this.#changes.length, intents: this.#intents }
    for (const { place } of node.workloads) this.#enforced.set(place.uid, enforced)
    return true
  }

  delivered(connection: Connection): void {
    const { server } = connection
    if (!server || !this.#isForbidden(connection, server.place)) return
    this.#fail('policy', `${describe(connection)}: a byte reached ${server.place.name} after it was denied`)
  }

  /** No time after the acknowledgement: the cut has reached the workload. */
  checkLive(node: string): void {
    for (const connection of this.#ledger.connections) {
      const { server } = connection
      if (server?.place.node !== node || server.ending || !this.#isForbidden(connection, server.place)) continue
      this.#fail('policy', `${describe(connection)} is open at ${server.place.name} although it is denied`)
    }
  }

  /** Whether the source may connect, as things are meant to be now. */
  allows(client: Place, server: Place, containerPort: number): boolean {
    if (!server.captured) return true
    const identity = client.captured ? client.identity : undefined
    return !isDenied(this.#intents, { identity }, server, containerPort)
  }

  #isForbidden(connection: Connection, place: Place): boolean {
    if (!place.captured || isSelfCall(connection)) return false
    // What the proxy is done with is in the workload's own hands: it may read later what it has been given.
    if (this.#book.of(connection.sourceAddress, 'inbound').length > 0) return false
    const { revision, intents } = this.#enforced.get(place.uid) ?? NOTHING
    const isOpen = this.#changes
      .slice(revision)
      .some((change) => change.intents.some((intent) => concerns(intent, place)))
    if (isOpen) return false
    const { client, port } = connection
    const containerPort = SERVICE_PORTS.get(port) ?? port
    const denied = (identity: string | undefined) => isDenied(intents, { identity }, place, containerPort)
    if (!client.place.captured) return denied(undefined)
    // Dialled by its own address, a pod that came up a moment ago may still count as not captured: then it gets plain bytes.
    const isPodAddressed = SERVER_PORTS.some((known) => known === port)
    return denied(client.place.identity) && (!isPodAddressed || denied(undefined))
  }
}

/** Every policy, and what the control plane says about each workload that runs there. */
function isCurrent(node: SimulatedNode, resources: VersionedResources): boolean {
  const policies = node.held(AUTHORIZATION_TYPE)
  const addresses = node.held(ADDRESS_TYPE)
  const names = [...resources.names(AUTHORIZATION_TYPE)]
  return (
    names.length === policies.size &&
    names.every((name) => policies.get(name) === resources.get(AUTHORIZATION_TYPE, name)?.version) &&
    node.workloads.every(({ place }) => addresses.get(place.uid) === resources.get(ADDRESS_TYPE, place.uid)?.version)
  )
}
