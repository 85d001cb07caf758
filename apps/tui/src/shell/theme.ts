import type { Role } from './text.ts'

/** How a role looks: Ink's Text properties. The sixteen colours of the terminal's own palette only. */
export interface Style {
  readonly color?: 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan' | 'gray' | 'white'
  readonly bold?: boolean
  readonly inverse?: boolean
  readonly underline?: boolean
  readonly dimColor?: boolean
}

export type Theme = Readonly<Record<Role, Style>>

const base: Theme = {
  plain: {},
  dim: { dimColor: true },
  title: { bold: true },
  key: { color: 'blue' },
  good: { color: 'green' },
  warn: { color: 'yellow' },
  bad: { color: 'red' },
  open: { color: 'magenta' },
  fault: { color: 'cyan' },
  selected: { inverse: true },
  changed: { bold: true },
}

const colourBlind: Theme = {
  ...base,
  good: { color: 'blue' },
  warn: { color: 'yellow', bold: true },
  bad: { color: 'yellow', inverse: true },
  open: { color: 'yellow', underline: true },
}

/** Skins by name. Each state also has its word in the text, so that no skin is needed to read it. */
export const THEMES: Readonly<Record<string, Theme>> = {
  default: base,
  light: { ...base, key: { color: 'magenta' }, dim: { color: 'gray' } },
  'high-contrast': {
    ...base,
    dim: {},
    good: { color: 'green', bold: true },
    bad: { color: 'red', bold: true, inverse: true },
  },
  deuteranopia: colourBlind,
  tritanopia: { ...colourBlind, good: { color: 'cyan' }, bad: { color: 'red', inverse: true } },
  mono: {
    plain: {},
    dim: {},
    title: { bold: true },
    key: {},
    good: {},
    warn: { bold: true },
    bad: { inverse: true },
    open: { underline: true },
    fault: { bold: true },
    selected: { inverse: true },
    changed: { bold: true },
  },
}

/** `mono` for NO_COLOR and TERM=dumb, unless FORCE_COLOR says otherwise. @see https://no-color.org */
export function chooseTheme(env: Readonly<Record<string, string | undefined>>, skin = 'default'): Theme {
  const colourless = Boolean(env.NO_COLOR) || env.TERM === 'dumb'
  if (colourless && !env.FORCE_COLOR) return THEMES.mono!
  return THEMES[skin] ?? base
}
