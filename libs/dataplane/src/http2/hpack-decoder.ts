import { FIELD_VALUE, SPACE, TAB, TOKEN } from '../http1/characters.ts'
import { latin1Text } from '../latin1.ts'
import { ConnectionFault } from './errors.ts'
import { FIELD_KIND, fieldKindOf } from './field-kinds.ts'
import { decodeHuffman } from './huffman.ts'
import { HEADER_BLOCK_BYTES_MAX, HEADER_TABLE_BYTES } from './limits.ts'
import { DYNAMIC_INDEX_FIRST, ENTRY_OVERHEAD_BYTES, STATIC_TABLE } from './static-table.ts'

/** Who is told of the fields of a block, in their order. */
export interface FieldSink {
  /**
   * @param kind of FIELD_KIND
   * @param isSensitive nobody may put it into a table (RFC 7541 §6.2.3)
   */
  add(name: string, value: string, kind: number, isSensitive: boolean): void
}

/** A field of a table, judged once. */
interface Entry {
  readonly name: string
  readonly value: string
  /** Of the name alone, for literals that borrow it. */
  readonly nameKind: number
  readonly kind: number
}

const STATIC_ENTRIES: readonly Entry[] = STATIC_TABLE.map(([name, value]) => {
  const kind = fieldKindOf(name)
  return { name, value, nameKind: kind, kind }
})

const COLON = 58
/** A text of Huffman code is at most 8/5 of its length; one for the process, since nothing stays in it. */
const decoded = new Uint8Array(2 * HEADER_BLOCK_BYTES_MAX)
/** Four bytes behind the prefix: more than any length or index that is allowed. */
const INTEGER_SHIFT_MAX = 21

/** The header blocks of one direction of a connection (RFC 7541). */
export class HpackDecoder {
  /** What SETTINGS_HEADER_TABLE_SIZE allows the peer. */
  readonly #tableBytesMax: number
  /** What the peer makes of it. */
  #tableBytesLimit: number
  #tableBytes = 0
  /** The dynamic table: a ring, the newest at `#newest`. */
  readonly #ring: (Entry | undefined)[]
  readonly #mask: number
  #newest = 0
  #count = 0
  // What is being decoded.
  #bytes: Uint8Array = decoded
  #at = 0
  #end = 0
  /** Of the text that was read last: every character may be in a value, none in front or behind is white space. */
  #isValue = false

  constructor(tableBytesMax: number = HEADER_TABLE_BYTES) {
    this.#tableBytesMax = tableBytesMax
    this.#tableBytesLimit = tableBytesMax
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2, tableBytesMax / ENTRY_OVERHEAD_BYTES)))
    this.#ring = new Array(slots)
    this.#mask = slots - 1
  }

  /** The whole block in [from, end). @throws ConnectionFault HPACK_INVALID */
  decode(bytes: Uint8Array, from: number, end: number, into: FieldSink): void {
    this.#bytes = bytes
    this.#at = from
    this.#end = end
    let isFirst = true
    while (this.#at < end) {
      const first = bytes[this.#at]!
      if ((first & 0xe0) === 0x20) {
        // RFC 7541 §4.2: before the first field only.
        if (!isFirst) invalid()
        this.#resize(this.#integer(0x1f))
        continue
      }
      isFirst = false
      if (first >= 0x80) {
        const { name, value, kind } = this.#entryAt(this.#integer(0x7f))
        into.add(name, value, kind, false)
      } else if (first >= 0x40) {
        this.#literal(0x3f, true, false, into)
      } else {
        this.#literal(0x0f, false, first >= 0x10, into)
      }
    }
    this.#bytes = decoded
  }

  #literal(prefix: number, isAdded: boolean, isSensitive: boolean, into: FieldSink): void {
    const index = this.#integer(prefix)
    let name: string
    let nameKind: number
    if (index === 0) {
      name = this.#text(true)
      nameKind = this.#isValue ? fieldKindOf(name) : FIELD_KIND.MALFORMED
    } else {
      const entry = this.#entryAt(index)
      name = entry.name
      nameKind = entry.nameKind
    }
    const value = this.#text(false)
    const kind = this.#isValue ? nameKind : FIELD_KIND.MALFORMED
    if (isAdded) this.#add({ name, value, nameKind, kind })
    into.add(name, value, kind, isSensitive)
  }

  #entryAt(index: number): Entry {
    if (index < DYNAMIC_INDEX_FIRST) return STATIC_ENTRIES[index - 1] ?? invalid()
    const age = index - DYNAMIC_INDEX_FIRST
    if (age >= this.#count) invalid()
    return this.#ring[(this.#newest - age) & this.#mask]!
  }

  #add(entry: Entry): void {
    const bytes = sizeOf(entry)
    this.#evict(this.#tableBytesLimit - bytes)
    // RFC 7541 §4.4: one that is larger than the table empties it, and is in none.
    if (bytes > this.#tableBytesLimit) return
    this.#newest = (this.#newest + 1) & this.#mask
    this.#ring[this.#newest] = entry
    this.#count += 1
    this.#tableBytes += bytes
  }

  #resize(bytes: number): void {
    if (bytes > this.#tableBytesMax) invalid()
    this.#tableBytesLimit = bytes
    this.#evict(bytes)
  }

  #evict(bytesMax: number): void {
    while (this.#tableBytes > bytesMax && this.#count > 0) {
      const oldest = (this.#newest - this.#count + 1) & this.#mask
      this.#tableBytes -= sizeOf(this.#ring[oldest]!)
      this.#ring[oldest] = undefined
      this.#count -= 1
    }
  }

  /** RFC 7541 §5.1. @param prefix the bits of the first byte that are its own */
  #integer(prefix: number): number {
    const bytes = this.#bytes
    let value = bytes[this.#at]! & prefix
    this.#at += 1
    if (value < prefix) return value
    for (let shift = 0; ; shift += 7) {
      if (this.#at === this.#end || shift > INTEGER_SHIFT_MAX) invalid()
      const byte = bytes[this.#at]!
      this.#at += 1
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }

  /** RFC 7541 §5.2. What it consists of is in `#isValue`. */
  #text(isName: boolean): string {
    if (this.#at === this.#end) invalid()
    const isHuffman = this.#bytes[this.#at]! >= 0x80
    const length = this.#integer(0x7f)
    const from = this.#at
    const end = from + length
    if (end > this.#end) invalid()
    this.#at = end
    if (!isHuffman) return this.#textIn(this.#bytes, from, end, isName)
    const decodedLength = decodeHuffman(this.#bytes, from, end, decoded)
    if (decodedLength < 0) invalid()
    return this.#textIn(decoded, 0, decodedLength, isName)
  }

  #textIn(bytes: Uint8Array, from: number, end: number, isName: boolean): string {
    this.#isValue = isName ? isFieldName(bytes, from, end) : isFieldValue(bytes, from, end)
    return from === end ? '' : latin1Text(bytes, from, end)
  }
}

function sizeOf({ name, value }: Entry): number {
  return name.length + value.length + ENTRY_OVERHEAD_BYTES
}

/** RFC 9113 §8.2.1: a token in lower case, behind a colon where it is a pseudo field. */
function isFieldName(bytes: Uint8Array, from: number, end: number): boolean {
  const start = bytes[from] === COLON ? from + 1 : from
  if (start >= end) return false
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at]!
    if (TOKEN[byte] !== 1 || (byte >= 65 && byte <= 90)) return false
  }
  return true
}

/** RFC 9113 §8.2.1. */
function isFieldValue(bytes: Uint8Array, from: number, end: number): boolean {
  if (from === end) return true
  if (isWhite(bytes[from]!) || isWhite(bytes[end - 1]!)) return false
  for (let at = from; at < end; at += 1) {
    if (FIELD_VALUE[bytes[at]!] !== 1) return false
  }
  return true
}

function isWhite(byte: number): boolean {
  return byte === SPACE || byte === TAB
}

function invalid(): never {
  throw new ConnectionFault('HPACK_INVALID')
}
