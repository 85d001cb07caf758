/** Cells: the unit is in the column's title, `-` is "this layer cannot measure it", `0` is a measurement. */
export const UNKNOWN = '-'

export function formatRate(perSecond: number | undefined): string {
  if (perSecond === undefined) return UNKNOWN
  if (perSecond === 0) return '0'
  if (perSecond > 9999) return '>9999'
  return perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1)
}

export function formatKilobytes(bytesPerSecond: number | undefined): string {
  if (bytesPerSecond === undefined) return UNKNOWN
  const kilobytes = bytesPerSecond / 1000
  if (kilobytes === 0) return '0'
  if (kilobytes > 99_999) return '>99999'
  return kilobytes >= 10 ? kilobytes.toFixed(0) : kilobytes.toFixed(1)
}

/** Time left or spent in the shortest two units: `04m10`, `11h58`, `12s`. */
export function formatSpan(durationMs: number | undefined): string {
  if (durationMs === undefined) return UNKNOWN
  const seconds = Math.max(0, Math.floor(durationMs / 1000))
  const two = (value: number) => String(value).padStart(2, '0')
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${two(Math.floor(seconds / 60))}m${two(seconds % 60)}`
  if (seconds < 86_400) return `${two(Math.floor(seconds / 3600))}h${two(Math.floor(seconds / 60) % 60)}`
  return `${Math.floor(seconds / 86_400)}d${two(Math.floor(seconds / 3600) % 24)}h`
}

/** `00:14:32`. */
export function formatClock(durationMs: number): string {
  const seconds = Math.max(0, Math.floor(durationMs / 1000))
  return [seconds / 3600, (seconds / 60) % 60, seconds % 60]
    .map((part) => String(Math.floor(part)).padStart(2, '0'))
    .join(':')
}

export function formatTimeOfDay(atMs: number): string {
  return new Date(atMs).toTimeString().slice(0, 8)
}
