import type { Ztunnel } from '@ambient-lab/dataplane'
import { HEADER_BYTES } from '../byte-pattern.ts'
import { type Connection, describe, type EndPoint, isSelfCall, type Ledger, type Place } from '../ledger.ts'
import type { AccessBook, AccessEntry } from '../recording-access-log.ts'
import { isGatewayPod, SERVER_PORTS } from '../scenario.ts'
import type { VirtualProcess } from '../virtual-process.ts'
import type { Fail } from './fail.ts'

/**
 * Every connection is recorded exactly once on each side that knew it, with the bytes that moved and with the
 * identities of those who really spoke. A process that was killed owes no record.
 */
export class RecordChecker {
  readonly #fail: Fail
  readonly #ledger: Ledger
  readonly #book: AccessBook
  readonly #crashed: ReadonlySet<VirtualProcess>

  constructor(
    fail: Fail,
    truth: {
      readonly ledger: Ledger
      readonly book: AccessBook
      /** Programs whose agent was killed. */
      readonly crashed: ReadonlySet<VirtualProcess>
    },
  ) {
    this.#fail = fail
    this.#ledger = truth.ledger
    this.#book = truth.book
    this.#crashed = truth.crashed
  }

  /** After a drain: everything has been written that will be. */
  checkAll(): void {
    for (const connection of this.#ledger.connections) {
      if (connection.sourceAddress === '' || isSelfCall(connection)) continue
      this.#checkSource(connection)
      this.#checkDestination(connection)
    }
  }

  /** What a ztunnel that ended in order tells about itself: nothing is open, and nothing was counted twice. */
  checkView(node: string, ztunnel: Ztunnel): void {
    const { connections, edges } = ztunnel.traffic({ edgesOnly: false })
    const open = connections.filter(({ state }) => state === 'open')
    if (open.length > 0) this.#fail('closed', `${node} still lists ${open.length} connections, ${open[0]!.id} for one`)
    if (new Set(connections.map(({ id }) => id)).size !== connections.length) {
      this.#fail('records', `${node} lists a connection twice`)
    }
    for (const { opened, closed, sourceWorkload, destinationWorkload } of edges) {
      if (opened === closed) continue
      this.#fail('records', `${node}: ${sourceWorkload} → ${destinationWorkload} opened ${opened}, closed ${closed}`)
    }
  }

  #checkSource(connection: Connection): void {
    const { client, sourceAddress, stood, refusal, server } = connection
    const complete = this.#book.of(sourceAddress, 'outbound')
    const failed = this.#book.failed.filter((one) => one.sourceAddr === sourceAddress && one.direction === 'outbound')
    const count = complete.length + failed.length
    const known = client.place.captured && (stood || refusal !== undefined)
    if (!client.place.captured && count > 0) return this.#wrong(connection, 'source', count, 0)
    if (count > 1) return this.#wrong(connection, 'source', count, 1)
    if (known && count === 0 && !this.#crashed.has(client.place.process)) {
      return this.#wrong(connection, 'source', count, 1)
    }
    for (const entry of complete) {
      this.#checkBytes(connection, client, entry)
      this.#expectIdentity(connection, entry.record.source.identity, client, entry)
      // Whom the gateway of another network has picked, only the far end knows.
      if (!server || isGatewayPod(entry.record.destination.workload)) continue
      this.#expectIdentity(connection, entry.record.destination.identity, server, entry)
      this.#checkDestinationName(connection, server.place, entry)
    }
  }

  /**
   * A node that has not heard yet that a pod has the address of one before it records the one before; of the same
   * identity, nothing else tells them apart.
   */
  #checkDestinationName(connection: Connection, { name, address, captured }: Place, { record }: AccessEntry): void {
    const { workload, addr } = record.destination
    if (workload === name || (captured && addr.startsWith(`${address}:`))) return
    this.#fail('identity', `${describe(connection)} reached ${name}, recorded is ${workload}`)
  }

  /** A CONNECT may be tried again when its tunnel died under it; only one of them has ever carried bytes. */
  #checkDestination(connection: Connection): void {
    const { server, sourceAddress, client } = connection
    const entries = this.#book.of(sourceAddress, 'inbound')
    for (const entry of entries) this.#expectIdentity(connection, entry.record.source.identity, client, entry)
    const carriers = entries.filter(({ outcome }) => outcome.bytesSent > 0)
    if (carriers.length > 1) return this.#wrong(connection, 'destination', carriers.length, 1)
    if (!server?.place.captured) return
    const isOwed = !this.#crashed.has(server.place.process) && server.ending !== undefined
    if (isOwed && carriers.length === 0) return this.#wrong(connection, 'destination', 0, 1)
    for (const entry of carriers) this.#checkBytes(connection, server, entry)
  }

  #checkBytes(connection: Connection, end: EndPoint, { record, outcome }: AccessEntry): void {
    if (end.ending !== 'in order') return
    const isClient = end === connection.client
    const sent = HEADER_BYTES + (isClient ? end.sent : end.received)
    const received = isClient ? end.received : end.sent
    // What a program has handed over when it ends is the proxy's: if a tunnel breaks then, the record says so.
    const isLost = isClient && outcome.error !== undefined && outcome.bytesSent < sent
    if ((outcome.bytesSent === sent || isLost) && (outcome.bytesReceived === received || !isClient)) return
    const told = `${outcome.bytesSent} and ${outcome.bytesReceived}`
    this.#fail(
      'records',
      `${describe(connection)} moved ${sent} and ${received} bytes, ${record.direction} says ${told}`,
    )
  }

  #expectIdentity(connection: Connection, identity: string | undefined, end: EndPoint, { record }: AccessEntry): void {
    if (identity === end.place.identity) return
    const isPlain = record.destination.hboneAddr === undefined
    const mayBePlain =
      !connection.client.place.captured ||
      connection.server?.place.captured === false ||
      SERVER_PORTS.some((port) => port === connection.port) ||
      connection.server === undefined
    if (identity === undefined && isPlain && mayBePlain) return
    const who = `${record.direction} says ${identity ?? 'nobody'}`
    this.#fail('identity', `${describe(connection)}: ${end.place.name} is ${end.place.identity}, ${who}`)
  }

  #wrong(connection: Connection, side: string, count: number, wanted: number): void {
    this.#fail('records', `${describe(connection)} has ${count} records at its ${side}, not ${wanted}`)
  }
}
