import type { VirtualProcess } from './virtual-process.ts'

/** How one end of a connection ended: in order, cut, refused before it stood, or with its process. */
export type Ending = 'in order' | 'cut' | 'refused' | 'killed'

/** A simulated program's place in the lab. */
export interface Place {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  /** SPIFFE id. */
  readonly identity: string
  readonly address: string
  readonly captured: boolean
  readonly node: string
  readonly process: VirtualProcess
}

/** What one end of a connection did and saw. Bytes are counted without the header. */
export interface EndPoint {
  readonly place: Place
  sent: number
  received: number
  /** This end half-closed. */
  ended: boolean
  /** The other end's half-close arrived. */
  peerEnded: boolean
  ending: Ending | undefined
}

/** One connection as both programs know it: the truth that records and views are compared with. */
export interface Connection {
  readonly id: number
  readonly key: number
  readonly client: EndPoint
  /** As dialled. */
  readonly destination: string
  readonly port: number
  readonly startedMs: number
  /** `pod ip:port`, as ztunnels name the source. */
  sourceAddress: string
  /** The capture said that the connection stands. */
  stood: boolean
  /** What the capture answered when it did not: a SOCKS reply. */
  refusal: number | undefined
  server: EndPoint | undefined
}

/** Every connection that any program of this run opened. */
export class Ledger {
  readonly #connections: Connection[] = []
  readonly #bySource = new Map<string, Connection>()
  #open = 0

  get connections(): readonly Connection[] {
    return this.#connections
  }

  /** Ends that a living program still holds. */
  get openEnds(): number {
    return this.#open
  }

  add(connection: Omit<Connection, 'id'>): Connection {
    const added = { ...connection, id: this.#connections.length + 1 }
    this.#connections.push(added)
    this.#open += 1
    return added
  }

  opened(): void {
    this.#open += 1
  }

  ended(): void {
    this.#open -= 1
  }

  find(id: number): Connection | undefined {
    return this.#connections[id - 1]
  }

  named(connection: Connection, sourceAddress: string): void {
    connection.sourceAddress = sourceAddress
    this.#bySource.set(sourceAddress, connection)
  }

  bySource(sourceAddress: string): Connection | undefined {
    return this.#bySource.get(sourceAddress)
  }
}

/** A pod that dials its own address stays inside itself: no policy, no record. */
export function isSelfCall({ client, destination }: Connection): boolean {
  return destination === client.place.address
}

export function describe(connection: Connection): string {
  const { id, client, destination, port } = connection
  return `connection ${id} ${client.place.name} → ${destination}:${port}`
}
