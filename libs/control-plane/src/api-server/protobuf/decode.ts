import { BODY_DEPTH_MAX } from '../limits.ts'
import { badRequest, StatusError as Refusal, type StatusError } from '../status-error.ts'
import { type FieldType, MESSAGES } from './messages.ts'
import { readFields, type WireField, type WireValue } from './wire.ts'

export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf'

/** Every protobuf body of Kubernetes begins so; what follows names the type and holds its bytes. */
const MAGIC = Buffer.from('k8s\0', 'latin1')

type Decoded = Record<string, unknown>

/**
 * A protobuf body as the JSON object that it stands for. Only the types in MESSAGES are known; a field of them that is
 * not is refused when it says anything, never dropped.
 * @throws StatusError 400 for bytes that are no message, 415 for what we know only as JSON
 */
export function decodeProtobuf(body: Buffer): Decoded {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC))
    throw badRequest('the object provided is not a Kubernetes protobuf')
  try {
    const [typeMeta, raw] = pick(readFields(body.subarray(MAGIC.length)), [1, 2])
    const [apiVersion, kind] = pick(readFields(typeMeta!), [1, 2]).map((bytes) => bytes.toString())
    if (!Object.hasOwn(MESSAGES, kind!)) throw onlyJson(`kind ${JSON.stringify(kind)}`)
    return { ...(apiVersion && { apiVersion }), kind, ...decodeMessage(kind!, raw!, 0) }
  } catch (error) {
    if (error instanceof RangeError) throw badRequest(`the object provided is not valid protobuf: ${error.message}`)
    throw error
  }
}

function pick(fields: readonly WireField[], numbers: readonly number[]): Buffer[] {
  return numbers.map((number) => {
    const value = fields.findLast((field) => field.number === number)?.value
    return Buffer.isBuffer(value) ? value : Buffer.alloc(0)
  })
}

function decodeMessage(name: string, bytes: Buffer, depth: number): Decoded {
  if (depth > BODY_DEPTH_MAX) throw new RangeError('too deeply nested')
  const message = MESSAGES[name]!
  const decoded = new Map<string, unknown>()
  for (const { number, value } of readFields(bytes)) {
    const declared = message[number]
    if (declared === undefined) {
      if (saysNothing(value, depth)) continue
      throw onlyJson(`field ${number} of ${name}`)
    }
    const [field = '', type = ''] = declared.split(':')
    setField(decoded, field, type, value, depth)
  }
  return Object.fromEntries(decoded)
}

function setField(
  decoded: Map<string, unknown>,
  field: string,
  type: FieldType,
  value: WireValue,
  depth: number,
): void {
  const present = decoded.get(field)
  if (type.startsWith('map<')) {
    const entry = readFields(asBytes(value))
    const [key, item] = pick(entry, [1, 2])
    const text = type === 'map<bytes>' ? item!.toString('base64') : item!.toString()
    decoded.set(field, { ...(present as object | undefined), [key!.toString()]: text })
  } else if (type.endsWith('[]')) {
    const item = decodeValue(type.slice(0, -2), value, depth)
    decoded.set(field, [...((present as unknown[] | undefined) ?? []), item])
  } else if (type.endsWith('!')) {
    decoded.set(field, decodeValue(type.slice(0, -1), value, depth))
  } else {
    const single = decodeValue(type, value, depth)
    if (!isZero(single)) decoded.set(field, single)
  }
}

function decodeValue(type: FieldType, value: WireValue, depth: number): unknown {
  switch (type) {
    case 'string':
      return asBytes(value).toString()
    case 'int':
      return Number(BigInt.asIntN(64, asNumber(value)))
    case 'bool':
      return asNumber(value) !== 0n
    case 'Time':
      return decodeTime(asBytes(value))
    case 'IntOrString':
      return decodeIntOrString(asBytes(value))
    default:
      return decodeMessage(type, asBytes(value), depth + 1)
  }
}

/** Seconds since the epoch in field 1; empty for Go's zero time. */
function decodeTime(bytes: Buffer): string {
  const seconds = readFields(bytes).find(({ number }) => number === 1)?.value
  if (typeof seconds !== 'bigint') return ''
  const milliseconds = Number(BigInt.asIntN(64, seconds)) * 1000
  if (!(Math.abs(milliseconds) <= 8.64e15)) throw new RangeError('a time is out of range')
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z')
}

/** Field 1 tells which of the two it is: 0 the number in field 2, 1 the text in field 3. */
function decodeIntOrString(bytes: Buffer): string | number {
  const fields = readFields(bytes)
  const at = (wanted: number) => fields.findLast(({ number }) => number === wanted)?.value
  if (at(1) === 1n) return asBytes(at(3) ?? Buffer.alloc(0)).toString()
  return Number(BigInt.asIntN(64, asNumber(at(2) ?? 0n)))
}

function isZero(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0
  return value === '' || value === 0 || value === false
}

/** Go writes fields that are not pointers even when they are empty. */
function saysNothing(value: WireValue, depth: number): boolean {
  if (typeof value === 'bigint') return value === 0n
  if (value.length === 0) return true
  if (depth > BODY_DEPTH_MAX) return false
  try {
    return readFields(value).every((field) => saysNothing(field.value, depth + 1))
  } catch {
    return false // text
  }
}

function asBytes(value: WireValue): Buffer {
  if (typeof value === 'bigint') throw new RangeError('a number where bytes belong')
  return value
}

function asNumber(value: WireValue): bigint {
  if (typeof value !== 'bigint') throw new RangeError('bytes where a number belongs')
  return value
}

function onlyJson(what: string): StatusError {
  const message = `${what} is understood as JSON or YAML only, not as protobuf`
  return new Refusal(415, 'UnsupportedMediaType', message)
}
