import { ProtoMessage, ProtoWriter } from '@ambient-lab/dataplane'
import { CodedError } from '@ambient-lab/std'
import { type Descriptor, UNITS, type Unit, unitOfNumber } from './_rate-limit-config.ts'
import type { DescriptorStatus, RateLimitRequest, RateLimitResponse } from './_rate-limit-service.ts'

const CODE = { ok: 1, overLimit: 2 }
/** A caller that asks about more at once is none of Envoy's. */
const DESCRIPTORS_MAX = 1000

/**
 * `envoy.service.ratelimit.v3.RateLimitRequest`.
 * @throws CodedError PROTOBUF_MALFORMED
 */
export function decodeRequest(bytes: Uint8Array): RateLimitRequest {
  const message = new ProtoMessage(bytes)
  return {
    domain: message.string(1),
    descriptors: bounded(message.messages(2)).map(decodeDescriptor),
    hitsAddend: message.uint(3),
  }
}

/** `envoy.extensions.common.ratelimit.v3.RateLimitDescriptor`. */
function decodeDescriptor(message: ProtoMessage): Descriptor {
  const limit = message.message(2)
  const hitsAddend = message.message(3)
  const unit = limit && unitOfNumber(limit.uint(2))
  return {
    entries: message.messages(1).map((entry) => ({ key: entry.string(1), value: entry.string(2) })),
    ...(unit && { override: { requestsPerUnit: limit.uint(1), unit } }),
    ...(hitsAddend && { hitsAddend: hitsAddend.uint(1) }),
  }
}

/** `RateLimitResponse`. */
export function encodeResponse({ isOverLimit, statuses, responseHeaders }: RateLimitResponse): Buffer {
  const writer = new ProtoWriter().uint(1, codeOf(isOverLimit))
  for (const status of statuses) writer.message(2, (inner) => encodeStatus(inner, status))
  for (const [name, value] of responseHeaders) {
    writer.message(3, (header) => header.string(1, name).string(2, value))
  }
  return writer.finish()
}

function encodeStatus(writer: ProtoWriter, { isOverLimit, limit, remaining, secondsUntilReset }: DescriptorStatus) {
  writer.uint(1, codeOf(isOverLimit))
  if (limit) {
    const { requestsPerUnit, unit, name } = limit
    writer.message(2, (inner) => inner.uint(1, requestsPerUnit).uint(2, UNITS[unit].number).string(3, name))
  }
  writer.uint(3, remaining)
  if (secondsUntilReset !== undefined) writer.message(4, (duration) => duration.uint(1, secondsUntilReset))
}

function codeOf(isOverLimit: boolean): number {
  return isOverLimit ? CODE.overLimit : CODE.ok
}

/**
 * The request in the JSON of protobuf, for callers without gRPC; names of fields as in the .proto file or in camel case.
 * @throws CodedError JSON_MALFORMED
 */
export function parseJsonRequest(text: string): RateLimitRequest {
  const root = fields(json(text), 'the request', ['domain', 'descriptors', 'hits_addend'])
  return {
    domain: textOf(root, 'domain'),
    descriptors: bounded(listOf(root, 'descriptors')).map(parseJsonDescriptor),
    hitsAddend: numberOf(root.hits_addend ?? 0),
  }
}

function parseJsonDescriptor(value: unknown): Descriptor {
  const descriptor = fields(value, 'a descriptor', ['entries', 'limit', 'hits_addend'])
  const limit =
    descriptor.limit === undefined ? undefined : fields(descriptor.limit, 'a limit', ['requests_per_unit', 'unit'])
  const unit = limit && jsonUnit(limit.unit)
  return {
    entries: listOf(descriptor, 'entries').map((item) => {
      const entry = fields(item, 'an entry', ['key', 'value'])
      return { key: textOf(entry, 'key'), value: textOf(entry, 'value') }
    }),
    ...(unit && { override: { requestsPerUnit: numberOf(limit.requests_per_unit ?? 0), unit } }),
    ...(descriptor.hits_addend !== undefined && { hitsAddend: numberOf(descriptor.hits_addend) }),
  }
}

/** The response in the JSON of protobuf: what has its default value is left out. */
export function formatJsonResponse({ isOverLimit, statuses, responseHeaders }: RateLimitResponse): string {
  return JSON.stringify({
    overallCode: codeName(isOverLimit),
    statuses: statuses.map((status) => ({
      code: codeName(status.isOverLimit),
      ...(status.limit && {
        currentLimit: {
          ...(status.limit.requestsPerUnit > 0 && { requestsPerUnit: status.limit.requestsPerUnit }),
          unit: status.limit.unit,
          ...(status.limit.name !== '' && { name: status.limit.name }),
        },
      }),
      ...(status.remaining > 0 && { limitRemaining: status.remaining }),
      ...(status.secondsUntilReset !== undefined && { durationUntilReset: `${status.secondsUntilReset}s` }),
    })),
    ...(responseHeaders.length > 0 && {
      responseHeadersToAdd: responseHeaders.map(([key, value]) => ({ key, value })),
    }),
  })
}

function codeName(isOverLimit: boolean): string {
  return isOverLimit ? 'OVER_LIMIT' : 'OK'
}

function bounded<T>(descriptors: readonly T[]): readonly T[] {
  if (descriptors.length <= DESCRIPTORS_MAX) return descriptors
  throw new CodedError('PROTOBUF_MALFORMED', `more than ${DESCRIPTORS_MAX} descriptors`, { origin: 'downstream' })
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('not JSON')
  }
}

type Fields = Readonly<Record<string, unknown>>

/** By their names in the .proto file. */
function fields(value: unknown, what: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(`${what} is no object`)
  const entries = Object.entries(value).map(([name, field]) => {
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    if (!known.includes(snake)) throw malformed(`${what} has no field ${JSON.stringify(name)}`)
    return [snake, field ?? undefined] as const
  })
  return Object.fromEntries(entries)
}

function textOf(of: Fields, name: string): string {
  const value = of[name] ?? ''
  if (typeof value !== 'string') throw malformed(`${name} is no string`)
  return value
}

function listOf(of: Fields, name: string): readonly unknown[] {
  const value = of[name] ?? []
  if (!Array.isArray(value)) throw malformed(`${name} is no list`)
  return value
}

/** Of 64 bits, which are a string, too. */
function numberOf(value: unknown): number {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0) throw malformed('no whole number')
  return number
}

function jsonUnit(value: unknown): Unit {
  const unit = typeof value === 'number' ? unitOfNumber(value) : value
  if (typeof unit === 'string' && Object.hasOwn(UNITS, unit)) return unit as Unit
  throw malformed(`no unit ${JSON.stringify(value)}`)
}

function malformed(problem: string): CodedError {
  return new CodedError('JSON_MALFORMED', problem, { origin: 'downstream' })
}
