/** A field of a message as it stands on the wire. */
export type WireValue = bigint | Buffer

export interface WireField {
  readonly number: number
  /** A varint or fixed number, or the bytes of a string, a message or packed numbers. */
  readonly value: WireValue
}

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

/** The ten bytes of a 64-bit varint. */
const VARINT_BYTES_MAX = 10

/**
 * Splits a message into its fields, in the order of the bytes.
 * @throws RangeError when the bytes are no message
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export function readFields(message: Buffer): WireField[] {
  const fields: WireField[] = []
  let offset = 0
  while (offset < message.length) {
    const tag = readVarint(message, offset)
    const number = Number(tag.value >> 3n)
    const { value, next } = readValue(message, tag.next, Number(tag.value & 7n))
    fields.push({ number, value })
    offset = next
  }
  return fields
}

function readValue(message: Buffer, offset: number, wireType: number): { value: WireValue; next: number } {
  switch (wireType) {
    case VARINT:
      return readVarint(message, offset)
    case FIXED64:
      return { value: message.readBigUInt64LE(offset), next: offset + 8 }
    case FIXED32:
      return { value: BigInt(message.readUInt32LE(offset)), next: offset + 4 }
    case LENGTH: {
      const { value: length, next } = readVarint(message, offset)
      const end = next + Number(length)
      if (end > message.length) throw new RangeError('a field is longer than its message')
      return { value: message.subarray(next, end), next: end }
    }
    default:
      throw new RangeError(`unknown wire type ${wireType}`)
  }
}

function readVarint(message: Buffer, start: number): { value: bigint; next: number } {
  let value = 0n
  for (let index = 0; index < VARINT_BYTES_MAX; index++) {
    const byte = message[start + index]
    if (byte === undefined) throw new RangeError('a number is cut short')
    value |= BigInt(byte & 0x7f) << BigInt(7 * index)
    if (byte < 0x80) return { value, next: start + index + 1 }
  }
  throw new RangeError('a number is longer than 64 bits')
}
