import type { Key } from 'ink'

/** Ink's idea of one key press as the key tables spell it: `j`, `G`, `ctrl-f`, `shift-left`, `enter`, `pagedown`. */
export function keyName(input: string, key: Key): string {
  const special = specialName(key)
  if (special) return key.shift && ARROWS.has(special) ? `shift-${special}` : special
  if (key.ctrl) return `ctrl-${input.toLowerCase()}`
  return input === ' ' ? 'space' : characterName(input)
}

/**
 * The first key of a text that came in one piece, as it does when keys are struck faster than the screen reads.
 * Control characters are keys of their own: 0x0b is `ctrl-k`.
 */
export function characterName(character: string): string {
  const code = character.charCodeAt(0)
  if (character.length !== 1 || code >= 0x20) return character === '\u007f' ? 'backspace' : character
  if (character === '\r' || character === '\n') return 'enter'
  if (character === '\t') return 'tab'
  return code === 0x1b ? 'esc' : `ctrl-${String.fromCharCode(code + 0x60)}`
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
