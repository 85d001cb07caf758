import { ConnectionFault } from './errors.ts'
import { FLAG, readUint31 } from './frame.ts'
import { CONTINUATIONS_MAX, HEADER_BLOCK_BYTES_MAX } from './limits.ts'

const PRIORITY_BYTES = 5

/** A header block whose HEADERS frame does not have all of it (RFC 9113 §4.3): nothing else may come until it is whole. */
export class HeaderBlock {
  /** 0 when there is none. */
  stream = 0
  /** Of its HEADERS frame. */
  flags = 0
  bytes = Buffer.alloc(0)
  /** Where the part is that is in the HEADERS frame read last. */
  start = 0
  end = 0
  #continuations = 0

  /**
   * Finds the part of a block in the payload of HEADERS (RFC 9113 §6.2), between a priority, which nobody goes by, and padding.
   * @throws ConnectionFault FRAME_SIZE_INVALID, PADDING_INVALID, STREAM_ID_INVALID
   */
  readFragment(stream: number, flags: number, bytes: Uint8Array, from: number, to: number): void {
    let start = from
    let end = to
    if ((flags & FLAG.PADDED) !== 0) {
      if (start === to) throw new ConnectionFault('FRAME_SIZE_INVALID')
      end -= bytes[start]!
      start += 1
    }
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (start + PRIORITY_BYTES > to) throw new ConnectionFault('FRAME_SIZE_INVALID')
      if (readUint31(bytes, start) === stream) throw new ConnectionFault('STREAM_ID_INVALID')
      start += PRIORITY_BYTES
    }
    if (start > end) throw new ConnectionFault('PADDING_INVALID')
    this.start = start
    this.end = end
  }

  /** The fragment was not the whole. @throws ConnectionFault HEADER_BLOCK_TOO_LARGE */
  begin(stream: number, flags: number, bytes: Uint8Array): void {
    this.stream = stream
    this.flags = flags
    this.bytes = Buffer.alloc(0)
    this.#continuations = 0
    this.#gather(bytes, this.start, this.end)
  }

  /** @throws ConnectionFault CONTINUATION_FLOOD, HEADER_BLOCK_TOO_LARGE */
  add(bytes: Uint8Array, from: number, to: number): void {
    this.#continuations += 1
    if (this.#continuations > CONTINUATIONS_MAX) throw new ConnectionFault('CONTINUATION_FLOOD')
    this.#gather(bytes, from, to)
  }

  #gather(bytes: Uint8Array, from: number, to: number): void {
    if (this.bytes.length + to - from > HEADER_BLOCK_BYTES_MAX) throw new ConnectionFault('HEADER_BLOCK_TOO_LARGE')
    this.bytes = Buffer.concat([this.bytes, bytes.subarray(from, to)])
  }
}
