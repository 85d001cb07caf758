import type { HeaderMap } from '../http1/headers.ts'
import { isHopByHop } from '../http1/hop-by-hop.ts'
import { putLatin1 } from '../latin1.ts'
import { ENCODED_NAMES_MAX, HEADER_BLOCK_BYTES_MAX, HEADER_TABLE_BYTES, INDEXED_VALUE_LENGTH_MAX } from './limits.ts'
import { DYNAMIC_INDEX_FIRST, ENTRY_OVERHEAD_BYTES, STATIC_TABLE } from './static-table.ts'

/** Never in a table: what an attacker could guess by the length of a block (RFC 7541 §7.1). */
const SENSITIVE: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'set-cookie'])

/** Not worth a place in the table, since the next message has another: what nghttp2 leaves out, less the path. */
const CHANGING: ReadonlySet<string> = new Set([
  ...['age', 'content-length', 'content-range', 'etag', 'if-modified-since', 'if-none-match', 'last-modified'],
  ...['location', 'traceparent', 'x-b3-spanid', 'x-b3-traceid', 'x-request-id'],
])

/** A cookie below this can be guessed. */
const COOKIE_LENGTH_MIN = 20

/** A value in the static table, or in the dynamic one if `added` is behind what was evicted. */
interface Place {
  value: string
  /** Count of additions when it came in. */
  added: number
}

interface StaticName {
  /** Of the first entry with the name. */
  readonly index: number
  readonly values: readonly (readonly [value: string, index: number])[]
}

const STATIC_NAMES: ReadonlyMap<string, StaticName> = staticNames()

function staticNames(): Map<string, StaticName> {
  const names = new Map<string, { index: number; values: (readonly [string, number])[] }>()
  for (const [index, [name, value]] of STATIC_TABLE.entries()) {
    const known = names.get(name) ?? { index: index + 1, values: [] }
    if (value !== '') known.values.push([value, index + 1])
    names.set(name, known)
  }
  return names
}

/** What an encoder knows of a field name. */
class KnownName {
  /** 0 when the static table does not have it. */
  readonly staticIndex: number
  readonly staticValues: StaticName['values']
  readonly isIndexed: boolean
  readonly isSensitive: boolean
  readonly places: Place[] = []
  /** Of the last two values that are not in the table: what comes again is put there. */
  seen = 0
  seenBefore = 0

  constructor(name: string, isIndexed: boolean) {
    const known = STATIC_NAMES.get(name)
    this.staticIndex = known?.index ?? 0
    this.staticValues = known?.values ?? []
    this.isSensitive = SENSITIVE.has(name)
    this.isIndexed = isIndexed && !this.isSensitive && !CHANGING.has(name)
  }
}

/** A name beyond those that are remembered. */
const FORGOTTEN = new KnownName('', false)

/** Shorter texts are written faster character by character. */
const LATIN1_WRITE_LENGTH_MIN = 24
/** A literal's first byte and two lengths. */
const LITERAL_BYTES_MAX = 16

/** Where blocks are made: one for the process, since a block is copied into its frames at once. */
let block = Buffer.allocUnsafeSlow(HEADER_BLOCK_BYTES_MAX)
let at = 0

/**
 * The header blocks that one side of a connection sends (RFC 7541). What comes a second time with the same value goes
 * into the table, so that neither ids nor times push out what repeats. Texts are not compressed: next to a processor's
 * time the bytes of what is sent once are cheap.
 */
export class HpackEncoder {
  readonly #names = new Map<string, KnownName>()
  #tableBytesLimit = HEADER_TABLE_BYTES
  /** The smallest limit since the last block; undefined when it has not changed. */
  #limitToTell: number | undefined
  #tableBytes = 0
  /** Sizes of entries by their count of additions; a ring. */
  readonly #sizes = new Uint16Array(HEADER_TABLE_BYTES / ENTRY_OVERHEAD_BYTES)
  #added = 0
  #evicted = 0

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytes: number): void {
    const limit = Math.min(bytes, HEADER_TABLE_BYTES)
    if (limit === this.#tableBytesLimit) return
    this.#limitToTell = Math.min(limit, this.#limitToTell ?? limit)
    this.#tableBytesLimit = limit
    this.#evict(limit)
  }

  begin(): void {
    at = 0
    if (this.#limitToTell === undefined) return
    // RFC 7541 §4.2: the smallest in between, and the one at the end.
    if (this.#limitToTell < this.#tableBytesLimit) writeInteger(0x20, 0x1f, this.#limitToTell)
    writeInteger(0x20, 0x1f, this.#tableBytesLimit)
    this.#limitToTell = undefined
  }

  /** @param name in lower case @param isSensitive whoever sent it to us forbade every table */
  field(name: string, value: string, isSensitive = false): void {
    makeRoom(name.length + value.length + LITERAL_BYTES_MAX)
    const known = this.#names.get(name) ?? this.#know(name)
    if (isSensitive || known.isSensitive) return this.#literal(0x10, 0x0f, known, name, value)
    for (const [text, index] of known.staticValues) {
      if (text === value) return writeInteger(0x80, 0x7f, index)
    }
    if (!known.isIndexed) return this.#literal(0, 0x0f, known, name, value)
    const { places } = known
    let free: Place | undefined
    for (let index = 0; index < places.length; index += 1) {
      const place = places[index]!
      const isThere = place.added > this.#evicted
      if (place.value === value) {
        if (isThere) return writeInteger(0x80, 0x7f, this.#indexOf(place))
        return this.#add(known, place, name, value)
      }
      if (!isThere) free = place
    }
    const print = fingerprint(value)
    if (print === known.seen || print === known.seenBefore) return this.#add(known, free, name, value)
    known.seenBefore = known.seen
    known.seen = print
    const isGuessable = name === 'cookie' && value.length < COOKIE_LENGTH_MIN
    this.#literal(isGuessable ? 0x10 : 0, 0x0f, known, name, value)
  }

  /** The block since `begin`, to be copied at once. */
  get block(): Buffer {
    return block
  }

  get length(): number {
    return at
  }

  #know(name: string): KnownName {
    if (this.#names.size >= ENCODED_NAMES_MAX) return FORGOTTEN
    const known = new KnownName(name, true)
    this.#names.set(name, known)
    return known
  }

  #indexOf({ added }: Place): number {
    return DYNAMIC_INDEX_FIRST + this.#added - added
  }

  #add(known: KnownName, place: Place | undefined, name: string, value: string): void {
    const bytes = name.length + value.length + ENTRY_OVERHEAD_BYTES
    const isSmall = value.length <= INDEXED_VALUE_LENGTH_MAX && bytes <= this.#tableBytesLimit
    const isGuessable = name === 'cookie' && value.length < COOKIE_LENGTH_MIN
    if (!isSmall || isGuessable) return this.#literal(isGuessable ? 0x10 : 0, 0x0f, known, name, value)
    this.#literal(0x40, 0x3f, known, name, value)
    this.#evict(this.#tableBytesLimit - bytes)
    this.#added += 1
    this.#tableBytes += bytes
    this.#sizes[this.#added & (this.#sizes.length - 1)] = bytes
    if (place) {
      place.value = ownText(value)
      place.added = this.#added
    } else {
      known.places.push({ value: ownText(value), added: this.#added })
    }
  }

  #evict(bytesMax: number): void {
    while (this.#tableBytes > bytesMax) {
      this.#evicted += 1
      this.#tableBytes -= this.#sizes[this.#evicted & (this.#sizes.length - 1)]!
    }
  }

  #literal(first: number, prefix: number, known: KnownName, name: string, value: string): void {
    let index = known.staticIndex
    if (index === 0) {
      for (const place of known.places) if (place.added > this.#evicted) index = this.#indexOf(place)
    }
    writeInteger(first, prefix, index)
    if (index === 0) writeText(name)
    writeText(value)
  }
}

/** Every field of a message that HTTP/2 has; the caller writes what frames it. */
export function encodeHeaders(encoder: HpackEncoder, headers: HeaderMap): void {
  const { size, neverIndexed } = headers
  for (let index = 0; index < size; index += 1) {
    const name = headers.nameAt(index)
    if (isLeftOut(name)) continue
    const value = headers.valueAt(index)
    // RFC 9113 §8.2.2: of TE only this.
    if (name === 'te' && value !== 'trailers') continue
    encoder.field(name, value, neverIndexed?.includes(name))
  }
}

/** Fields of a connection (RFC 9113 §8.2.2), Host, which is `:authority`, and the length, which is its message's. */
function isLeftOut(name: string): boolean {
  return name === 'host' || name === 'content-length' || isHopByHop(name)
}

function makeRoom(bytes: number): void {
  if (at + bytes <= block.length) return
  const larger = Buffer.allocUnsafeSlow(2 * (at + bytes))
  block.copy(larger, 0, 0, at)
  block = larger
}

/** RFC 7541 §5.1. */
function writeInteger(first: number, prefix: number, value: number): void {
  if (value < prefix) {
    block[at] = first | value
    at += 1
    return
  }
  block[at] = first | prefix
  at += 1
  let rest = value - prefix
  while (rest >= 0x80) {
    block[at] = (rest & 0x7f) | 0x80
    at += 1
    rest >>>= 7
  }
  block[at] = rest
  at += 1
}

function writeText(text: string): void {
  const { length } = text
  writeInteger(0, 0x7f, length)
  if (length < LATIN1_WRITE_LENGTH_MIN) {
    for (let index = 0; index < length; index += 1) block[at + index] = text.charCodeAt(index)
  } else {
    putLatin1(block, at, text)
  }
  at += length
}

/** Of a value, without keeping it: that two differ and have the same costs a place in the table, no more. */
function fingerprint(text: string): number {
  let hash = text.length
  const step = text.length > 64 ? text.length >>> 6 : 1
  for (let index = 0; index < text.length; index += step) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
  return hash
}

/** What is kept is a copy: a value may share the memory of the whole head that it came in. */
function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
