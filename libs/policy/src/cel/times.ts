import { type CelInput, type CelValue, celEnv, parse, plan } from '@bufbuild/cel'

type Conversion = (text: string) => CelInput

/** The library has times as messages of Protocol Buffers, which CEL's own conversions make of text. */
const conversions: Partial<Record<'timestamp' | 'duration', Conversion>> = {}

/** @param date valid */
export function timestampOf(date: Date): CelInput {
  return conversion('timestamp')(date.toISOString())
}

/** To the microsecond, which is finer than our clock. */
export function durationOf(milliseconds: number): CelInput {
  return conversion('duration')(`${(milliseconds / 1000).toFixed(6)}s`)
}

function conversion(name: 'timestamp' | 'duration'): Conversion {
  let known = conversions[name]
  if (!known) {
    const convert = plan(celEnv(), parse(`${name}(text)`))
    known = (text) => convert({ text }) as CelInput
    conversions[name] = known
  }
  return known
}

/** What is in a timestamp, and in a duration. */
interface Time {
  readonly seconds: bigint
  readonly nanos: number
}

/** The text of a time as Envoy prints it; undefined for what is no time. */
export function timeText(value: CelValue): string | undefined {
  if (typeof value !== 'object' || value === null || !('message' in value)) return undefined
  const { typeName } = value.desc
  const { seconds, nanos } = value.message as unknown as Time
  if (typeName === 'google.protobuf.Timestamp') return timestampText(seconds, nanos)
  return typeName === 'google.protobuf.Duration' ? durationText(seconds, nanos) : undefined
}

/** RFC 3339 in UTC, with as many digits as it takes (absl's `FormatTime`). */
function timestampText(seconds: bigint, nanos: number): string {
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, -'.000Z'.length)
  return `${whole}${fraction(nanos)}+00:00`
}

/** Hours, minutes and seconds, or the one smaller unit that it is a part of (absl's `FormatDuration`). */
function durationText(seconds: bigint, nanos: number): string {
  const total = seconds * 1_000_000_000n + BigInt(nanos)
  if (total === 0n) return '0'
  const sign = total < 0n ? '-' : ''
  const size = total < 0n ? -total : total
  if (size < 1000n) return `${sign}${size}ns`
  if (size < 1_000_000n) return `${sign}${Number(size) / 1000}us`
  if (size < 1_000_000_000n) return `${sign}${Number(size) / 1_000_000}ms`
  const hours = size / 3_600_000_000_000n
  const minutes = (size / 60_000_000_000n) % 60n
  const rest = size % 60_000_000_000n
  const restText = `${rest / 1_000_000_000n}${fraction(Number(rest % 1_000_000_000n))}s`
  return `${sign}${hours > 0n ? `${hours}h` : ''}${minutes > 0n ? `${minutes}m` : ''}${rest > 0n ? restText : ''}`
}

function fraction(nanos: number): string {
  return nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`
}
