const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }

/**
 * Go's and Kubernetes' durations: `500ms`, `3m`, `1h30m`, `1.5s`.
 * @returns milliseconds, or undefined when the text is no duration (a bare number is none)
 */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) return undefined
  let totalMs = 0
  for (const [, value, , unit] of text.matchAll(/(\d+(\.\d+)?)(h|ms|m|s)/g)) totalMs += Number(value) * UNIT_MS[unit!]!
  return totalMs
}

/** `90061000` → `25h1m1s`; below a second in `ms`. The inverse of parseDuration for whole milliseconds. */
export function formatDuration(durationMs: number): string {
  let restMs = Math.round(durationMs)
  if (restMs < 1000) return `${restMs}ms`
  let text = ''
  for (const unit of ['h', 'm'] as const) {
    const count = Math.floor(restMs / UNIT_MS[unit]!)
    if (count > 0) text += `${count}${unit}`
    restMs -= count * UNIT_MS[unit]!
  }
  return restMs > 0 ? `${text}${restMs / 1000}s` : text
}

/** kubectl's age: the largest one or two units, `45s`, `3m12s`, `5h`, `2d`. */
export function formatAge(ageMs: number): string {
  const seconds = Math.max(0, Math.floor(ageMs / 1000))
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`
  if (hours < 48) return `${hours}h`
  return `${Math.floor(hours / 24)}d`
}
