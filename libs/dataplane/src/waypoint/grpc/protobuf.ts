import { CodedError } from '@ambient-lab/std'

/**
 * As much of Protocol Buffers as a few messages of a few fields need, written by hand against their .proto files.
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export class ProtoWriter {
  readonly #parts: Uint8Array[] = []

  /** Zero is the default, and not sent. */
  uint(field: number, value: number): this {
    if (value !== 0) this.#parts.push(varint(field << 3), varint(value))
    return this
  }

  /** Empty is the default, and not sent. */
  string(field: number, text: string): this {
    return text === '' ? this : this.bytes(field, Buffer.from(text, 'utf8'))
  }

  bytes(field: number, bytes: Uint8Array): this {
    this.#parts.push(varint((field << 3) | LENGTH_DELIMITED), varint(bytes.length), bytes)
    return this
  }

  message(field: number, write: (writer: ProtoWriter) => void): this {
    const inner = new ProtoWriter()
    write(inner)
    return this.bytes(field, inner.finish())
  }

  /** A `map<string, string>` is a list of messages with a key and a value. */
  entries(field: number, entries: Iterable<readonly [string, string]>): this {
    for (const [key, value] of entries) this.message(field, (entry) => entry.string(1, key).string(2, value))
    return this
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

const VARINT = 0
const FIXED_64 = 1
const LENGTH_DELIMITED = 2
const FIXED_32 = 5

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      bytes.push(rest)
      return Uint8Array.from(bytes)
    }
    bytes.push((rest % 128) + 128)
  }
}

/** The fields of one message, by number; of types that were not asked for nothing is known. */
export class ProtoMessage {
  readonly #numbers = new Map<number, number>()
  readonly #texts = new Map<number, Uint8Array[]>()

  /** @throws CodedError PROTOBUF_MALFORMED for bytes that end within a field, or have a field of a type that is gone */
  constructor(bytes: Uint8Array) {
    for (let at = 0; at < bytes.length; ) {
      const [tag, afterTag] = readVarint(bytes, at)
      const field = Math.floor(tag / 8)
      at = this.#readField(bytes, afterTag, field, tag % 8)
    }
  }

  uint(field: number): number {
    return this.#numbers.get(field) ?? 0
  }

  string(field: number): string {
    const bytes = this.bytes(field)
    return bytes ? Buffer.from(bytes).toString('utf8') : ''
  }

  bytes(field: number): Uint8Array | undefined {
    return this.#texts.get(field)?.at(-1)
  }

  strings(field: number): string[] {
    return (this.#texts.get(field) ?? []).map((bytes) => Buffer.from(bytes).toString('utf8'))
  }

  /** @throws CodedError PROTOBUF_MALFORMED */
  message(field: number): ProtoMessage | undefined {
    const bytes = this.bytes(field)
    return bytes && new ProtoMessage(bytes)
  }

  /** @throws CodedError PROTOBUF_MALFORMED */
  messages(field: number): ProtoMessage[] {
    return (this.#texts.get(field) ?? []).map((bytes) => new ProtoMessage(bytes))
  }

  #readField(bytes: Uint8Array, at: number, field: number, type: number): number {
    if (type === VARINT) {
      const [value, end] = readVarint(bytes, at)
      this.#numbers.set(field, value)
      return end
    }
    const [length, start] = type === LENGTH_DELIMITED ? readVarint(bytes, at) : [fixedLength(type), at]
    const end = start + length
    if (end > bytes.length) throw malformed('it ends within a field')
    if (type === LENGTH_DELIMITED) {
      const known = this.#texts.get(field)
      const value = bytes.subarray(start, end)
      if (known) known.push(value)
      else this.#texts.set(field, [value])
    }
    return end
  }
}

function fixedLength(type: number): number {
  if (type === FIXED_64) return 8
  if (type === FIXED_32) return 4
  throw malformed(`wire type ${type}`)
}

/** Beyond 2^53 a value is not exact; none that we ask for is. */
function readVarint(bytes: Uint8Array, start: number): [value: number, end: number] {
  let value = 0
  for (let index = 0; index < 10; index += 1) {
    const byte = bytes[start + index]
    if (byte === undefined) throw malformed('it ends within a number')
    value += (byte & 127) * 2 ** (7 * index)
    if (byte < 128) return [value, start + index + 1]
  }
  throw malformed('a number that does not end')
}

function malformed(problem: string): CodedError {
  return new CodedError('PROTOBUF_MALFORMED', `not a message: ${problem}`, { origin: 'upstream' })
}
