import { ConnectionFault, type Http2FaultName } from './errors.ts'
import { FLAG, FRAME, readUint31 } from './frame.ts'

/**
 * What is to be said against a frame by its head alone: its size, and whether its type may be on a stream (RFC 9113 §6).
 * What a stream's own state allows is not judged here.
 * @throws ConnectionFault FRAME_STREAM_INVALID, FRAME_SIZE_INVALID, PUSH_UNEXPECTED
 */
export function checkFrameHead(type: number, flags: number, stream: number, length: number): void {
  switch (type) {
    case FRAME.DATA:
    case FRAME.HEADERS:
    case FRAME.PRIORITY:
      return check(stream !== 0, 'FRAME_STREAM_INVALID')
    case FRAME.RST_STREAM:
      check(stream !== 0, 'FRAME_STREAM_INVALID')
      return check(length === 4, 'FRAME_SIZE_INVALID')
    case FRAME.SETTINGS:
      check(stream === 0, 'FRAME_STREAM_INVALID')
      return check(length % 6 === 0 && ((flags & FLAG.ACK) === 0 || length === 0), 'FRAME_SIZE_INVALID')
    case FRAME.PUSH_PROMISE:
      throw new ConnectionFault('PUSH_UNEXPECTED')
    case FRAME.PING:
      check(stream === 0, 'FRAME_STREAM_INVALID')
      return check(length === 8, 'FRAME_SIZE_INVALID')
    case FRAME.GOAWAY:
      check(stream === 0, 'FRAME_STREAM_INVALID')
      return check(length >= 8, 'FRAME_SIZE_INVALID')
    case FRAME.WINDOW_UPDATE:
      return check(length === 4, 'FRAME_SIZE_INVALID')
  }
}

/** What is wrong with a PRIORITY frame: its size, or that its stream is to wait for itself (RFC 9113 §5.3.1, §6.3). */
export function priorityFault(
  stream: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): 'FRAME_SIZE_INVALID' | 'STREAM_ID_INVALID' | undefined {
  if (to - from !== 5) return 'FRAME_SIZE_INVALID'
  return readUint31(bytes, from) === stream ? 'STREAM_ID_INVALID' : undefined
}

function check(isRight: boolean, otherwise: Http2FaultName): void {
  if (!isRight) throw new ConnectionFault(otherwise)
}
