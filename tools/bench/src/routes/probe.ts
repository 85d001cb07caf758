import { KeepAliveConnection } from '@ambient-lab/testing/mesh'
import { REVISION_HEADER } from './world.ts'

export interface Answer {
  readonly status: number
  /** Of the route that answered; -1 where none says so. */
  readonly revision: number
  readonly receivedMs: number
}

const REVISION = new RegExp(`^${REVISION_HEADER}: *(\\d+)`, 'im')

/** A keep-alive connection of a workload to a service: one request at a time. */
export class Probe {
  readonly #connection: KeepAliveConnection

  private constructor(connection: KeepAliveConnection) {
    this.#connection = connection
  }

  /** @throws Error when the mesh refuses the connection */
  static async open(capture: { readonly host: string; readonly port: number }, host: string): Promise<Probe> {
    return new Probe(await KeepAliveConnection.open({ capture, host, port: 80 }))
  }

  /** @throws Error when the connection ends, or nobody answers */
  async ask(path: string): Promise<Answer> {
    const { status, head } = await this.#connection.get(path)
    return { status, revision: Number(REVISION.exec(head)?.[1] ?? -1), receivedMs: performance.now() }
  }

  close(): void {
    this.#connection[Symbol.dispose]()
  }
}
