import type { Key } from 'ink'

/** Ink's idea of a key press as the key tables spell it: `j`, `G`, `ctrl-f`, `shift-left`, `enter`, `pagedown`. */
export function keyName(input: string, key: Key): string {
  const special = specialName(key)
  if (special) return key.shift && special.length > 1 && ARROWS.has(special) ? `shift-${special}` : special
  if (key.ctrl) return `ctrl-${input.toLowerCase()}`
  return input === ' ' ? 'space' : input
}

const ARROWS = new Set(['left', 'right', 'up', 'down'])

function specialName(key: Key): string | undefined {
  if (key.upArrow) return 'up'
  if (key.downArrow) return 'down'
  if (key.leftArrow) return 'left'
  if (key.rightArrow) return 'right'
  if (key.pageDown) return 'pagedown'
  if (key.pageUp) return 'pageup'
  if (key.home) return 'home'
  if (key.end) return 'end'
  if (key.return) return 'enter'
  if (key.escape) return 'esc'
  if (key.tab) return 'tab'
  if (key.backspace || key.delete) return 'backspace'
  return undefined
}
