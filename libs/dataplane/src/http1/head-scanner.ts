import { KiB } from '@ambient-lab/std'
import { COLON, CR, FIELD_VALUE, HASH, LF, SPACE, TAB, TARGET, TOKEN } from './characters.ts'
import { Refusal } from './errors.ts'
import { HeaderNames, lowerName } from './header-names.ts'

/** What a scanner can begin with. */
export const SCAN = { REQUEST: 0, RESPONSE: 1, TRAILERS: 2 } as const

export interface ScanLimits {
  readonly headBytesMax: number
  readonly headersMax: number
}

/** The longest method of the registry. */
export const METHOD_LENGTH_MAX = 11

// The states of a field come first: each head goes through them many times.
const FIELD_START = 0
const NAME = 1
const VALUE = 2
const VALUE_LF = 3
const END_LF = 4
const METHOD = 5
const TARGET_STATE = 6
const VERSION = 7
const REQUEST_LINE_CR = 8
const STATUS_VERSION = 9
const STATUS_SPACE = 10
const STATUS_CODE = 11
const STATUS_CODE_END = 12
const REASON = 13
const LINE_LF = 14

/** Then one digit: 0 or 1. */
const HTTP_1 = Uint8Array.from('HTTP/1.', (character) => character.charCodeAt(0))
const VERSION_LENGTH = 8
/** With fewer bytes than these to go, a view of them costs more than it saves. */
const VIEW_BYTES_MIN = 128
/** Of a value, while there has been nothing but white space. */
const UNKNOWN = -1
const DIGIT_0 = 48

/** One for the process: names that one connection met are known to the next. */
const names = new HeaderNames()

/**
 * Finds the parts of a head, or of trailers, and refuses what RFC 9112 does not allow. It goes over each byte once,
 * also when the head comes in many pieces, and keeps positions only: relative to the first byte of the head, so that
 * they stay right when its owner moves the bytes together.
 */
export class HeadScanner {
  methodEnd = 0
  targetStart = 0
  targetEnd = 0
  /** Of the version: HTTP/1.minor. */
  minor = 0
  status = 0
  reasonStart = 0
  reasonEnd = 0
  /** Where the head ends, when `scan` said that it does. */
  end = 0
  /** Fields found. */
  count = 0
  /** By field: its name, a number of FIELD or 0, and where its value is. */
  readonly names: string[] = []
  readonly ids: Uint16Array
  readonly valueStarts: Uint32Array
  readonly valueEnds: Uint32Array

  readonly #headBytesMax: number
  readonly #headersMax: number
  #state = METHOD
  /** Where the scan goes on. */
  #at = 0
  /** Where the name, value or literal began that is being read. */
  #start = 0

  constructor({ headBytesMax, headersMax }: ScanLimits) {
    this.#headBytesMax = headBytesMax
    this.#headersMax = headersMax
    this.ids = new Uint16Array(headersMax)
    this.valueStarts = new Uint32Array(headersMax)
    this.valueEnds = new Uint32Array(headersMax)
  }

  begin(what: (typeof SCAN)[keyof typeof SCAN]): void {
    this.#state = what === SCAN.REQUEST ? METHOD : what === SCAN.RESPONSE ? STATUS_VERSION : FIELD_START
    this.#at = 0
    this.#start = 0
    this.count = 0
  }

  /**
   * @param base where the head begins in `bytes`
   * @param to where the bytes end that are there
   * @returns whether the head is complete; if not, the next call has the same bytes and more behind them
   * @throws Refusal at the first byte that cannot be right, whatever the pieces
   */
  scan(bytes: Uint8Array, base: number, to: number): boolean {
    const end = Math.min(to, base + this.#headBytesMax)
    let at = base + this.#at
    let state = this.#state
    let view: DataView | undefined
    while (at < end) {
      switch (state) {
        case FIELD_START: {
          const byte = bytes[at]!
          if (TOKEN[byte] === 1) {
            if (this.count === this.#headersMax) refuse('TOO_MANY_HEADERS')
            if (view === undefined && end - at >= VIEW_BYTES_MIN) view = viewOf(bytes)
            // Who sends many heads sends the same names in the same places: what is still here from the head before.
            const length = view === undefined ? 0 : names.lengthAt(this.ids[this.count]!, view, at, end)
            if (length > 0) {
              at += length
              this.#start = UNKNOWN
              state = VALUE
            } else {
              this.#start = at - base
              state = NAME
            }
          } else if (byte === CR) {
            at += 1
            state = END_LF
          } else if (byte === SPACE || byte === TAB) {
            refuse('HEADER_FOLDED')
          } else {
            refuse(byte === LF ? 'LINE_END_INVALID' : 'HEADER_NAME_INVALID')
          }
          break
        }
        case NAME: {
          while (at < end && TOKEN[bytes[at]!] === 1) at += 1
          if (at === end) break
          if (bytes[at] !== COLON) refuse('HEADER_NAME_INVALID')
          this.#nameFound(bytes, base + this.#start, at)
          at += 1
          this.#start = UNKNOWN
          state = VALUE
          break
        }
        case VALUE: {
          if (this.#start === UNKNOWN) {
            while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at += 1
            if (at === end) break
            this.#start = at - base
          }
          at = endOfValue(view, bytes, at, end)
          if (at === end) break
          if (bytes[at] !== CR) refuse(bytes[at] === LF ? 'LINE_END_INVALID' : 'HEADER_VALUE_INVALID')
          this.#valueFound(bytes, base, at)
          at += 1
          state = VALUE_LF
          if (at === end) break
          if (bytes[at] !== LF) refuse('LINE_END_INVALID')
          at += 1
          state = FIELD_START
          break
        }
        case VALUE_LF: {
          if (bytes[at] !== LF) refuse('LINE_END_INVALID')
          at += 1
          state = FIELD_START
          break
        }
        case END_LF: {
          if (bytes[at] !== LF) refuse('LINE_END_INVALID')
          this.end = at + 1 - base
          return true
        }
        case METHOD: {
          while (at < end && TOKEN[bytes[at]!] === 1) at += 1
          this.methodEnd = at - base
          if (this.methodEnd > METHOD_LENGTH_MAX) refuse('METHOD_UNKNOWN')
          if (at === end) break
          if (bytes[at] !== SPACE || at === base) refuse('METHOD_UNKNOWN')
          at += 1
          this.targetStart = at - base
          state = TARGET_STATE
          break
        }
        case TARGET_STATE: {
          while (at < end && TARGET[bytes[at]!] === 1) at += 1
          if (at === end) break
          this.targetEnd = at - base
          if (bytes[at] === HASH) refuse('TARGET_FRAGMENT')
          if (bytes[at] !== SPACE || this.targetEnd === this.targetStart) refuse('TARGET_INVALID')
          at += 1
          this.#start = at - base
          state = VERSION
          break
        }
        case VERSION: {
          at = this.#scanVersion(bytes, base, at, end)
          if (at - base - this.#start === VERSION_LENGTH) state = REQUEST_LINE_CR
          break
        }
        case REQUEST_LINE_CR: {
          if (bytes[at] !== CR) refuse(bytes[at] === LF ? 'LINE_END_INVALID' : 'VERSION_UNSUPPORTED')
          at += 1
          state = LINE_LF
          break
        }
        case STATUS_VERSION: {
          at = this.#scanVersion(bytes, base, at, end)
          if (at - base === VERSION_LENGTH) state = STATUS_SPACE
          break
        }
        case STATUS_SPACE: {
          if (bytes[at] !== SPACE) refuse('STATUS_LINE_INVALID')
          at += 1
          this.#start = at - base
          this.status = 0
          state = STATUS_CODE
          break
        }
        case STATUS_CODE: {
          const digit = bytes[at]! - DIGIT_0
          if (digit < 0 || digit > 9) refuse('STATUS_LINE_INVALID')
          this.status = this.status * 10 + digit
          at += 1
          if (at - base - this.#start === 3) {
            if (this.status < 100) refuse('STATUS_LINE_INVALID')
            state = STATUS_CODE_END
          }
          break
        }
        case STATUS_CODE_END: {
          const byte = bytes[at]!
          at += 1
          this.reasonStart = at - base
          this.reasonEnd = this.reasonStart
          // Without the space there can be no reason, as many servers write it.
          if (byte === SPACE) state = REASON
          else if (byte === CR) state = LINE_LF
          else refuse(byte === LF ? 'LINE_END_INVALID' : 'STATUS_LINE_INVALID')
          break
        }
        case REASON: {
          while (at < end && FIELD_VALUE[bytes[at]!] === 1) at += 1
          if (at === end) break
          if (bytes[at] !== CR) refuse(bytes[at] === LF ? 'LINE_END_INVALID' : 'STATUS_LINE_INVALID')
          this.reasonEnd = at - base
          at += 1
          state = LINE_LF
          break
        }
        case LINE_LF: {
          if (bytes[at] !== LF) refuse('LINE_END_INVALID')
          at += 1
          state = FIELD_START
          break
        }
      }
    }
    if (to > end) refuse('HEAD_TOO_LARGE')
    this.#at = at - base
    this.#state = state
    return false
  }

  #scanVersion(bytes: Uint8Array, base: number, from: number, end: number): number {
    let at = from
    for (; at < end; at += 1) {
      const index = at - base - this.#start
      if (index === VERSION_LENGTH) break
      const byte = bytes[at]!
      if (index === VERSION_LENGTH - 1) {
        this.minor = byte - DIGIT_0
        if (this.minor !== 0 && this.minor !== 1) refuse('VERSION_UNSUPPORTED')
      } else if (byte !== HTTP_1[index]) {
        refuse('VERSION_UNSUPPORTED')
      }
    }
    return at
  }

  #nameFound(bytes: Uint8Array, start: number, end: number): void {
    const id = names.find(bytes, start, end)
    this.ids[this.count] = id
    this.names[this.count] = id === 0 ? lowerName(bytes, start, end) : names.nameOf(id)
  }

  #valueFound(bytes: Uint8Array, base: number, end: number): void {
    const start = base + this.#start
    let last = end
    while (last > start && (bytes[last - 1] === SPACE || bytes[last - 1] === TAB)) last -= 1
    this.valueStarts[this.count] = start - base
    this.valueEnds[this.count] = last - base
    this.count += 1
  }
}

/** Most reads of a socket fit; a copy to where a view is costs a third of a view, and leaves no garbage. */
const copy = new Uint8Array(4 * KiB)
const viewOfCopy = new DataView(copy.buffer)

function viewOf(bytes: Uint8Array): DataView {
  if (bytes.length > copy.length) return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  copy.set(bytes)
  return viewOfCopy
}

/**
 * Two bytes of three are of values: four at a time, all of them neither below a space nor DEL (the usual test for a
 * byte less than n within a word, whose lowest hit is exact). What it stops at, such as a tab, is looked at alone.
 */
function endOfValue(view: DataView | undefined, bytes: Uint8Array, from: number, end: number): number {
  let at = from
  if (view !== undefined) {
    for (const last = end - 4; at <= last; at += 4) {
      const word = view.getInt32(at, true)
      const noDel = word ^ 0x7f7f7f7f
      const hits = (((word - 0x20202020) & ~word) | ((noDel - 0x01010101) & ~noDel)) & 0x80808080
      if (hits !== 0) {
        at += (31 - Math.clz32(hits & -hits)) >> 3
        break
      }
    }
  }
  while (at < end && FIELD_VALUE[bytes[at]!] === 1) at += 1
  return at
}

function refuse(code: Refusal['code']): never {
  throw new Refusal(code)
}
