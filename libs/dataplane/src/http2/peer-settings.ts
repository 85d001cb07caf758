import { ConnectionFault } from './errors.ts'
import { FRAME_BYTES_DEFAULT, FRAME_BYTES_LIMIT, readUint32, SETTING, WINDOW_INITIAL, WINDOW_MAX } from './frame.ts'
import { HEADER_TABLE_BYTES } from './limits.ts'

/** What a peer has said in its SETTINGS (RFC 9113 §6.5.2), or what holds until it does. */
export class PeerSettings {
  headerTableBytes: number = HEADER_TABLE_BYTES
  streamsMax = Number.POSITIVE_INFINITY
  /** Of a stream that begins. */
  windowBytes = WINDOW_INITIAL
  frameBytesMax = FRAME_BYTES_DEFAULT

  /** @throws ConnectionFault SETTINGS_INVALID, WINDOW_SETTING_INVALID */
  take(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at += 6) this.#take((bytes[at]! << 8) | bytes[at + 1]!, readUint32(bytes, at + 2))
  }

  #take(id: number, value: number): void {
    switch (id) {
      case SETTING.HEADER_TABLE_SIZE:
        this.headerTableBytes = value
        return
      case SETTING.ENABLE_PUSH:
        if (value > 1) throw new ConnectionFault('SETTINGS_INVALID')
        return
      case SETTING.MAX_CONCURRENT_STREAMS:
        this.streamsMax = value
        return
      case SETTING.INITIAL_WINDOW_SIZE:
        if (value > WINDOW_MAX) throw new ConnectionFault('WINDOW_SETTING_INVALID')
        this.windowBytes = value
        return
      case SETTING.MAX_FRAME_SIZE:
        if (value < FRAME_BYTES_DEFAULT || value > FRAME_BYTES_LIMIT) throw new ConnectionFault('SETTINGS_INVALID')
        this.frameBytesMax = value
        return
    }
  }
}
