import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '@ambient-lab/std'
import { APP_CLIENT_IDLE_MS, APP_IDLE_CONNECTIONS_MAX } from '../limits.ts'
import { connectSocks5 } from './socks5.ts'

/**
 * node:http's pool whose connections go through a workload's capture listener, so that an app's calls are
 * connections in the mesh, with the workload's identity.
 */
export class Socks5Agent extends Agent {
  readonly #capture: { readonly host: string; readonly port: number }
  readonly #clock: Clock

  constructor(init: {
    readonly capture: { readonly host: string; readonly port: number }
    readonly clock: Clock
    /** Sockets to one destination at most. @default unbounded */
    readonly socketsMax?: number
    /** Whether a connection serves more than one request. @default true */
    readonly keepAlive?: boolean
  }) {
    const options: AgentOptions = {
      keepAlive: init.keepAlive ?? true,
      maxFreeSockets: APP_IDLE_CONNECTIONS_MAX,
      timeout: APP_CLIENT_IDLE_MS,
      scheduling: 'lifo',
    }
    if (init.socketsMax !== undefined) options.maxSockets = init.socketsMax
    super(options)
    this.#capture = init.capture
    this.#clock = init.clock
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const target = { host: options.host ?? 'localhost', port: Number(options.port ?? 80) }
    connectSocks5(this.#capture, target, { clock: this.#clock }).then(
      (socket) => callback?.(null, socket),
      (error) => (callback as ((error: Error) => void) | undefined)?.(error),
    )
    return undefined
  }
}
