import { type CelValue, isCelList, isCelMap, isCelUint } from '@bufbuild/cel'
import { timeText } from './times.ts'

/** Digits of a double: those of absl's `StrCat`. */
const DOUBLE_DIGITS = 6

/** A value as Envoy makes a text of it, for a label. @see source/extensions/filters/common/expr/evaluator.cc, `print` */
export function celText(value: CelValue): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return doubleText(value)
  if (typeof value !== 'object') return String(value)
  if (value === null) return 'NULL'
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8')
  if (isCelUint(value)) return String(value.value)
  if (isCelMap(value)) return 'CelMap value'
  if (isCelList(value)) return 'CelList value'
  return timeText(value) ?? 'CelType value'
}

function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  return String(Number(value.toPrecision(DOUBLE_DIGITS)))
}
