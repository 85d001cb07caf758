import { CR, HEX, LF, QUOTED_TEXT, TOKEN } from './characters.ts'
import { Refusal } from './errors.ts'
import { CHUNK_EXTENSION_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX } from './limits.ts'

const DATA_CR = 0
const DATA_LF = 1
const FIRST_DIGIT = 2
const DIGITS = 3
const EXTENSION_NAME_START = 4
const EXTENSION_NAME = 5
const EXTENSION_VALUE_START = 6
const EXTENSION_VALUE = 7
const QUOTED = 8
const QUOTED_PAIR = 9
const QUOTED_END = 10
const SIZE_LF = 11

const SEMICOLON = 59
const EQUALS = 61
const QUOTE = 34
const BACKSLASH = 92

/**
 * Reads what stands between the data of one chunk and that of the next (RFC 9112 §7.1): the CR LF that ends a chunk,
 * and the line with the size of the next. Extensions are judged, counted and dropped.
 */
export class ChunkLineReader {
  /** Of the chunk whose line was read last; 0 for the last chunk, which trailers follow. */
  size = 0
  #state = FIRST_DIGIT
  #digits = 0
  #extensionBytes = 0
  #done = false

  /** A new body: its first chunk has none before it. */
  begin(): void {
    this.#state = FIRST_DIGIT
    this.#extensionBytes = 0
    this.#done = false
  }

  /** The last `read` came to the end of the line: `size` bytes of data follow. */
  get done(): boolean {
    return this.#done
  }

  /**
   * @returns where it stopped: behind the line, or at `end`
   * @throws Refusal CHUNK_INVALID, CHUNK_EXTENSION_INVALID, LINE_END_INVALID
   */
  read(bytes: Uint8Array, from: number, end: number): number {
    this.#done = false
    for (let at = from; at < end; at += 1) {
      if (!this.#take(bytes[at]!)) continue
      this.#state = DATA_CR
      this.#done = true
      return at + 1
    }
    return end
  }

  /** @returns whether the line is at its end */
  #take(byte: number): boolean {
    switch (this.#state) {
      case DATA_CR:
        if (byte !== CR) throw new Refusal('CHUNK_INVALID')
        this.#state = DATA_LF
        return false
      case DATA_LF:
        if (byte !== LF) throw new Refusal('CHUNK_INVALID')
        this.#state = FIRST_DIGIT
        return false
      case FIRST_DIGIT:
        this.#digits = 0
        this.size = 0
        if (HEX[byte] === 255) throw new Refusal('CHUNK_INVALID')
        this.#state = DIGITS
        return this.#takeDigit(byte)
      case DIGITS:
        return this.#takeDigit(byte)
      case SIZE_LF:
        if (byte !== LF) throw new Refusal('LINE_END_INVALID')
        return true
      default:
        this.#extensionBytes += 1
        if (this.#extensionBytes > CHUNK_EXTENSION_BYTES_MAX) throw new Refusal('CHUNK_EXTENSION_INVALID')
        this.#state = this.#takeExtension(byte)
        return false
    }
  }

  #takeDigit(byte: number): boolean {
    const value = HEX[byte]!
    if (value !== 255) {
      this.#digits += 1
      if (this.#digits > CHUNK_SIZE_DIGITS_MAX) throw new Refusal('CHUNK_INVALID')
      this.size = this.size * 16 + value
    } else if (byte === CR) {
      this.#state = SIZE_LF
    } else if (byte === SEMICOLON) {
      this.#state = EXTENSION_NAME_START
    } else {
      throw new Refusal('CHUNK_INVALID')
    }
    return false
  }

  /** `;name`, `;name=token`, `;name="text"`, without white space between them: what is allowed there is "bad". */
  #takeExtension(byte: number): number {
    switch (this.#state) {
      case EXTENSION_NAME_START:
        if (TOKEN[byte] === 1) return EXTENSION_NAME
        break
      case EXTENSION_NAME:
        if (TOKEN[byte] === 1) return EXTENSION_NAME
        if (byte === EQUALS) return EXTENSION_VALUE_START
        return afterExtension(byte)
      case EXTENSION_VALUE_START:
        if (byte === QUOTE) return QUOTED
        if (TOKEN[byte] === 1) return EXTENSION_VALUE
        break
      case EXTENSION_VALUE:
        return TOKEN[byte] === 1 ? EXTENSION_VALUE : afterExtension(byte)
      case QUOTED:
        if (byte === QUOTE) return QUOTED_END
        if (byte === BACKSLASH) return QUOTED_PAIR
        if (QUOTED_TEXT[byte] === 1) return QUOTED
        break
      case QUOTED_PAIR:
        if (QUOTED_TEXT[byte] === 1 || byte === QUOTE || byte === BACKSLASH) return QUOTED
        break
      case QUOTED_END:
        return afterExtension(byte)
    }
    throw new Refusal('CHUNK_EXTENSION_INVALID')
  }
}

function afterExtension(byte: number): number {
  if (byte === SEMICOLON) return EXTENSION_NAME_START
  if (byte === CR) return SIZE_LF
  throw new Refusal('CHUNK_EXTENSION_INVALID')
}
