export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

const UNITS: readonly [string, number][] = [
  ['GiB', GiB],
  ['MiB', MiB],
  ['KiB', KiB],
]

/** `65536` → `64KiB`, with one decimal where it is not whole. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of UNITS) {
    if (bytes >= size) return `${trimZero(bytes / size)}${unit}`
  }
  return `${bytes}B`
}

/** `64KiB`, `1GiB`, `512B` → bytes; undefined for anything else, a bare number included. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/.exec(text)
  if (!match) return undefined
  const size = match[2] === 'B' ? 1 : UNITS.find(([unit]) => unit === match[2])![1]
  return Math.round(Number(match[1]) * size)
}

function trimZero(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}
