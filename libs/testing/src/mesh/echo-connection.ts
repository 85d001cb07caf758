import { Load, type LoadTarget } from './load.ts'
import { socks5Dial } from './socks5-dial.ts'

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
      socket.end() // it says no more: nothing is left to ask
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

/** Connects, says a line, hears it back, and hangs up. */
export async function callEcho(target: LoadTarget, line: string): Promise<void> {
  const connection = await EchoConnection.open(target)
  await connection.echo(line)
  connection.end()
}

/** Each program calls again and again, every time on a connection of its own. */
export function connectionLoad(target: LoadTarget, programs: number): Load {
  return new Load({ programs }, (load) => load.attempt((number) => callEcho(target, `line ${number}`)))
}
