const BLOCKS = '▁▂▃▄▅▆▇█'

/**
 * Numbers as one row of blocks, the newest at the right, scaled to their maximum; blank where all are zero.
 * @param ascii digits 0-9 instead of blocks
 */
export function sparkline(values: readonly number[], width: number, ascii = false): string {
  const shown = values.slice(-width)
  const max = Math.max(...shown, 0)
  const glyphs = shown.map((value) => {
    if (max === 0 || value <= 0) return ' '
    const share = value / max
    return ascii ? String(Math.min(9, Math.floor(share * 10))) : BLOCKS[Math.min(7, Math.floor(share * 8))]
  })
  return ' '.repeat(width - shown.length) + glyphs.join('')
}
