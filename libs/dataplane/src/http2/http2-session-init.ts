import type { Clock } from '@ambient-lab/std'
import type { ByteStream } from '../stream/byte-stream.ts'
import type { AtTurnEnd } from '../stream/turn-end.ts'

export interface Http2SessionComponents {
  readonly stream: ByteStream
  readonly clock: Clock
  /** When the frames of a turn leave. @default after the present turn of the event loop */
  readonly atTurnEnd?: AtTurnEnd
}

export interface Http2SessionInit {
  /** @default 100 */
  readonly streamsMax?: number
  /** @default 256 KiB */
  readonly streamWindowBytes?: number
  /** @default 4 MiB */
  readonly connectionWindowBytes?: number
}
