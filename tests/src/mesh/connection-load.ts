import { errorMessage } from '@ambient-lab/std'
import { socks5Dial } from './socks5-dial.ts'

export interface LoadTarget {
  /** Of the workload that calls. */
  readonly capture: { readonly host: string; readonly port: number }
  readonly host: string
  readonly port: number
}

export interface FailedConnection {
  readonly number: number
  readonly error: string
}

/** Several programs that connect, say a line, hear it back and hang up, again and again, until they are stopped. */
export class ConnectionLoad {
  readonly failed: FailedConnection[] = []
  completed = 0
  readonly #target: LoadTarget
  readonly #programs: readonly Promise<void>[]
  #stopped = false
  #next = 1

  constructor(target: LoadTarget, programs: number) {
    this.#target = target
    this.#programs = Array.from({ length: programs }, () => this.#run())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#programs)
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const number = this.#next++
      try {
        const connection = await EchoConnection.open(this.#target)
        await connection.echo(`line ${number}`)
        connection.end()
        this.completed += 1
      } catch (error) {
        this.failed.push({ number, error: errorMessage(error) })
      }
    }
  }
}

/** A connection to a server that sends back what it gets. */
export class EchoConnection {
  /** Settles when the connection is gone, with what it is known by then. */
  readonly closed: Promise<'ended' | 'reset'>
  readonly #socket: Awaited<ReturnType<typeof socks5Dial>>
  #received = ''
  #wake: () => void = () => {}

  private constructor(socket: Awaited<ReturnType<typeof socks5Dial>>) {
    this.#socket = socket
    let ended = false
    socket.setEncoding('utf8').on('data', (text: string) => {
      this.#received += text
      this.#wake()
    })
    socket.on('end', () => {
      ended = true
    })
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#wake()
        resolve(ended ? 'ended' : 'reset')
      })
    })
    socket.resume()
  }

  static async open(target: LoadTarget): Promise<EchoConnection> {
    return new EchoConnection(await socks5Dial(target.capture, target))
  }

  /** @throws Error when the connection goes before the line came back whole */
  async echo(line: string): Promise<void> {
    this.#received = ''
    this.#socket.write(`${line}\n`)
    while (this.#received !== `${line}\n`) {
      if (this.#socket.closed) throw new Error(`closed after ${JSON.stringify(this.#received)} of ${line}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  end(): void {
    this.#socket.end()
  }
}
