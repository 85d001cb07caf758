import { sleep, systemClock } from '@ambient-lab/std'
import { KeepAliveConnection } from './keep-alive-connection.ts'
import { Load, type LoadInit, type LoadTarget } from './load.ts'

export interface RequestLoadInit extends LoadInit {
  /** Between an answer and the next request of a program: what sets the rate. @default none */
  readonly restMs?: number
  /** After so many a program opens another connection: both kinds of client meet every change. */
  readonly requestsPerConnection: number
}

/** Each program sends a request on its keep-alive connection, reads the answer and rests a moment. 200 is what goes well. */
export function requestLoad(target: LoadTarget, init: RequestLoadInit): Load {
  const { restMs = 0, requestsPerConnection } = init
  return new Load(init, async (load) => {
    let connection: KeepAliveConnection | undefined
    for (let count = 0; count < requestsPerConnection && load.goesOn; count += 1) {
      await load.attempt(async (number) => {
        // A server may end a connection that nobody uses; whoever keeps one alive looks before he asks.
        if (!connection?.isReusable) connection = await KeepAliveConnection.open(target)
        const { status, body } = await connection.get(`/${number}`)
        if (status !== 200) throw new Error(`${status} ${body}`)
      })
      if (restMs > 0) await sleep(systemClock, restMs)
    }
    connection?.[Symbol.dispose]()
  })
}
