import { FRAME_BYTES_DEFAULT, WINDOW_INITIAL, WINDOW_MAX } from './frame.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { Http2Stream } from './http2-stream.ts'
import { STALLED_LOOKS_MAX } from './limits.ts'

/** DATA on its way out: what the peer lets us send on the whole connection, and the streams that wait for a window. */
export class DataSender {
  /** The largest frame that is sent. */
  frameBytesMax = FRAME_BYTES_DEFAULT
  readonly #writer: FrameWriter
  #frames = 0
  #window = WINDOW_INITIAL
  /** In the order of their turns. */
  #waiting: Http2Stream[] = []

  constructor(writer: FrameWriter) {
    this.#writer = writer
  }

  /** @returns how many bytes of the piece were sent: as many as both windows and the connection have room for */
  send(stream: Http2Stream, piece: Uint8Array): number {
    const writer = this.#writer
    let sent = 0
    while (sent < piece.length && writer.hasRoom) {
      const room = Math.min(piece.length - sent, stream.sendWindow, this.#window, this.frameBytesMax)
      if (room <= 0) break
      writer.data(stream.id, room === piece.length ? piece : piece.subarray(sent, sent + room), false)
      stream.sendWindow -= room
      stream.stalledLooks = 0
      this.#window -= room
      this.#frames += 1
      sent += room
    }
    return sent
  }

  /** DATA frames since the last call. */
  takeFrameCount(): number {
    const frames = this.#frames
    this.#frames = 0
    return frames
  }

  /** The stream has something that cannot be sent now. */
  wait(stream: Http2Stream): void {
    this.#waiting.push(stream)
  }

  /** The peer takes more on the connection. @returns false when that is more than there can be */
  grant(increment: number): boolean {
    this.#window += increment
    if (this.#window > WINDOW_MAX) return false
    this.pumpAll()
    return true
  }

  /** Whoever waits gets a turn; who needs more of a window goes to the end of the line. */
  pumpAll(): void {
    for (let left = this.#waiting.length; left > 0 && this.#window > 0 && this.#writer.hasRoom; left -= 1) {
      const stream = this.#waiting.shift()!
      if (stream.over) continue
      if (stream.pump()) stream.drained()
      else this.#waiting.push(stream)
    }
  }

  /** The peer takes more on one stream. */
  pump(stream: Http2Stream): void {
    if (!stream.isWaiting || !stream.pump()) return
    this.#waiting.splice(this.#waiting.indexOf(stream), 1)
    stream.drained()
  }

  /** One more look at those that wait. @returns those that have waited for too many */
  takeStalled(): Http2Stream[] {
    this.#waiting = this.#waiting.filter((stream) => !stream.over)
    for (const stream of this.#waiting) stream.stalledLooks += 1
    return this.#waiting.filter((stream) => stream.stalledLooks > STALLED_LOOKS_MAX)
  }
}
