import { COLON, LOWER } from './characters.ts'
import { HEADER_NAME_KEPT_LENGTH_MAX, HEADER_NAMES_KEPT } from './limits.ts'

/** Fields that decide how a message is framed or routed: the ids that decoders switch on. 0 is any other. */
export const FIELD = {
  OTHER: 0,
  HOST: 1,
  CONTENT_LENGTH: 2,
  TRANSFER_ENCODING: 3,
  CONNECTION: 4,
  PROXY_CONNECTION: 5,
  UPGRADE: 6,
  EXPECT: 7,
} as const

/** Whether a field with this id says where a message ends, whom it is for, or what becomes of its connection. */
export function isFraming(id: number): boolean {
  return id >= FIELD.HOST && id <= FIELD.UPGRADE
}

/** In the order of FIELD. */
const FRAMING_NAMES = [
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'proxy-connection',
  'upgrade',
  'expect',
]

/** What browsers, curl, gRPC and proxies send; known from the start, so that nobody can crowd them out. */
const USUAL_NAMES = [
  ...['accept', 'accept-encoding', 'accept-language', 'accept-ranges', 'access-control-allow-origin', 'age', 'allow'],
  ...['authorization', 'baggage', 'b3', 'cache-control', 'content-disposition', 'content-encoding', 'content-language'],
  ...['content-location', 'content-range', 'content-type', 'cookie', 'date', 'dnt', 'end-user', 'etag', 'expires'],
  ...['forwarded', 'from', 'grpc-accept-encoding', 'grpc-encoding', 'grpc-message', 'grpc-status', 'grpc-timeout'],
  ...['if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'keep-alive'],
  ...['last-modified', 'link', 'location', 'max-forwards', 'origin', 'pragma', 'priority', 'proxy-authenticate'],
  ...['proxy-authorization', 'range', 'referer', 'retry-after', 'sec-ch-ua', 'sec-ch-ua-mobile', 'sec-ch-ua-platform'],
  ...['sec-fetch-dest', 'sec-fetch-mode', 'sec-fetch-site', 'sec-fetch-user', 'sec-websocket-accept'],
  ...['sec-websocket-extensions', 'sec-websocket-key', 'sec-websocket-protocol', 'sec-websocket-version', 'server'],
  ...['set-cookie', 'strict-transport-security', 'te', 'trace', 'traceparent', 'tracestate', 'trailer'],
  ...['upgrade-insecure-requests', 'user-agent', 'vary', 'via', 'www-authenticate', 'x-b3-flags'],
  ...['x-b3-parentspanid', 'x-b3-sampled', 'x-b3-spanid', 'x-b3-traceid', 'x-content-type-options'],
  ...['x-envoy-attempt-count', 'x-envoy-decorator-operation', 'x-envoy-expected-rq-timeout-ms'],
  ...['x-envoy-original-path', 'x-envoy-peer-metadata', 'x-envoy-peer-metadata-id', 'x-envoy-upstream-service-time'],
  ...['x-forwarded-client-cert', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto'],
  ...['x-frame-options', 'x-powered-by', 'x-real-ip', 'x-request-id', 'x-requested-with', 'x-xss-protection'],
]

/** What nearly all messages are made of. */
export const COMMON_NAMES: readonly string[] = [...FRAMING_NAMES, ...USUAL_NAMES]

const commonNames: ReadonlySet<string> = new Set(COMMON_NAMES)

/** Whether it is one of COMMON_NAMES: then it is a name, and in lower case. */
export function isCommonName(name: string): boolean {
  return commonNames.has(name)
}

/** Twice as many as names are kept, at least: chains stay short. */
const SLOTS = 4_096
const PROBES_MAX = 8

/**
 * Field names by their bytes, in lower case, without making a string for each one that arrives. A name that is seen
 * for the first time is kept, up to a bound; beyond it names still work, at the cost of a string each.
 */
export class HeaderNames {
  /** Names by id; ids of FIELD come first. Undefined at 0. */
  readonly #names: string[] = ['']
  /** Ids by hash, 0 for a free slot. */
  readonly #slots = new Uint16Array(SLOTS)
  /** The bytes of the name with the id at the same place, and its length. */
  readonly #bytes: Uint8Array[] = [new Uint8Array(0)]
  readonly #patterns: Int32Array[] = [new Int32Array(0)]
  readonly #namesMax: number

  constructor() {
    for (const name of COMMON_NAMES) this.#keep(name)
    this.#namesMax = this.#names.length + HEADER_NAMES_KEPT
  }

  /** @returns the id of the name in [start, end), or 0 when it is not kept: `nameOf` does not know it then */
  find(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start
    let slot = hash(length, LOWER[bytes[start]!]!, LOWER[bytes[start + (length >>> 1)]!]!, LOWER[bytes[end - 1]!]!)
    for (let probe = 0; probe < PROBES_MAX; probe += 1) {
      const id = this.#slots[slot]!
      if (id === 0) break
      if (isName(this.#bytes[id]!, bytes, start, length)) return id
      slot = (slot + 1) & (SLOTS - 1)
    }
    if (length > HEADER_NAME_KEPT_LENGTH_MAX || this.#names.length >= this.#namesMax) return 0
    return this.#keep(lowerName(bytes, start, end))
  }

  /**
   * Whether the name with this id and its colon stand at `at`: four characters at a time.
   * @param view of the bytes, up to `end` at least
   * @returns their length, or 0
   */
  lengthAt(id: number, view: DataView, at: number, end: number): number {
    const pattern = this.#patterns[id]!
    if (at + 2 * pattern.length > end) return 0
    for (let index = 0, from = at; index < pattern.length; index += 2, from += 4) {
      if (((view.getInt32(from, true) ^ pattern[index]!) & pattern[index + 1]!) !== 0) return 0
    }
    return pattern.length === 0 ? 0 : this.#bytes[id]!.length + 1
  }

  nameOf(id: number): string {
    return this.#names[id]!
  }

  /** @returns 0 when the neighbourhood is full */
  #keep(name: string): number {
    const bytes = Uint8Array.from(name, (character) => character.charCodeAt(0))
    const { length } = bytes
    let slot = hash(length, bytes[0]!, bytes[length >>> 1]!, bytes[length - 1]!)
    for (let probe = 0; probe < PROBES_MAX; probe += 1) {
      if (this.#slots[slot] === 0) {
        this.#slots[slot] = this.#names.length
        this.#bytes.push(bytes)
        this.#patterns.push(patternOf(bytes))
        return this.#names.push(name) - 1
      }
      slot = (slot + 1) & (SLOTS - 1)
    }
    return 0
  }
}

export function lowerName(bytes: Uint8Array, start: number, end: number): string {
  let name = ''
  for (let at = start; at < end; at += 1) name += String.fromCharCode(LOWER[bytes[at]!]!)
  return name
}

/**
 * A name in lower case and its colon as words: what is there, and the bits that count. Of letters those count that
 * both cases share; nothing but the letter has them.
 */
function patternOf(name: Uint8Array): Int32Array {
  const words = (name.length + 4) >> 2
  const pattern = new Int32Array(2 * words)
  for (let at = 0; at <= name.length; at += 1) {
    const byte = name[at] ?? COLON
    const isLetter = byte >= 97 && byte <= 122
    const shift = (at & 3) << 3
    pattern[2 * (at >> 2)]! |= byte << shift
    pattern[2 * (at >> 2) + 1]! |= (isLetter ? 0xdf : 0xff) << shift
  }
  return pattern
}

function hash(length: number, first: number, middle: number, last: number): number {
  return (length * 31 + first * 331 + middle * 1_031 + last * 5_051) & (SLOTS - 1)
}

function isName(name: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (name.length !== length) return false
  for (let at = 0; at < length; at += 1) {
    if (name[at] !== LOWER[bytes[start + at]!]) return false
  }
  return true
}
