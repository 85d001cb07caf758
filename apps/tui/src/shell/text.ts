/** What a piece of text means; the theme decides how it looks. */
export type Role =
  | 'plain'
  | 'dim'
  | 'title'
  | 'key'
  | 'good'
  | 'warn'
  | 'bad'
  | 'open'
  | 'fault'
  | 'selected'
  | 'changed'

export interface Span {
  readonly text: string
  readonly role: Role
}

/** One row of the screen. */
export type Line = readonly Span[]

export function span(text: string, role: Role = 'plain'): Span {
  return { text, role }
}

/** Columns that a terminal gives the text: two for wide East Asian characters and emoji, none for combining marks. */
export function displayWidth(text: string): number {
  if (isAscii(text)) return text.length
  let width = 0
  for (const { segment } of segmenter.segment(text)) width += graphemeWidth(segment)
  return width
}

export function lineWidth(line: Line): number {
  return line.reduce((width, { text }) => width + displayWidth(text), 0)
}

/** Makes the text exactly `width` columns: padded, or cut with `~` as its last one. */
export function fit(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const actual = displayWidth(text)
  if (actual > width) return cut(text, width)
  const padding = ' '.repeat(width - actual)
  return align === 'left' ? text + padding : padding + text
}

/** At most `width` columns; what is cut ends with `~`. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width <= 0) return ''
  let kept = ''
  let used = 0
  for (const { segment } of segmenter.segment(text)) {
    const next = graphemeWidth(segment)
    if (used + next > width - 1) break
    kept += segment
    used += next
  }
  return `${kept}~${' '.repeat(width - 1 - used)}`
}

/** Makes a line exactly `width` columns wide. */
export function fitLine(line: Line, width: number): Line {
  const fitted: Span[] = []
  let left = width
  for (const { text, role } of line) {
    const needed = displayWidth(text)
    if (needed > left) {
      fitted.push({ text: cut(text, left), role })
      return fitted
    }
    fitted.push({ text, role })
    left -= needed
  }
  if (left > 0) fitted.push(span(' '.repeat(left)))
  return fitted
}

/** Left part, right part at the right edge; the left one is cut when both do not fit. */
export function spread(left: Line, right: Line, width: number): Line {
  const rightWidth = Math.min(lineWidth(right), width)
  return [...fitLine(left, width - rightWidth), ...fitLine(right, rightWidth)]
}

export function plainText(line: Line): string {
  return line.map(({ text }) => text).join('')
}

/** Breaks a text at spaces into lines of at most `width` columns; `indent` goes before all but the first. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = []
  let current = ''
  for (const word of text.split(' ')) {
    const candidate = current === '' ? word : `${current} ${word}`
    if (current !== '' && displayWidth(candidate) > width) {
      lines.push(current)
      current = indent + word
    } else {
      current = candidate
    }
  }
  return [...lines, current]
}

const segmenter = new Intl.Segmenter()

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || code > 0x7e) return false
  }
  return true
}

function graphemeWidth(grapheme: string): number {
  const code = grapheme.codePointAt(0)!
  if (code < 0x20 || (code >= 0x7f && code < 0xa0) || /^\p{Mark}/u.test(grapheme)) return 0
  return isWide(code) || /\p{Emoji_Presentation}/u.test(grapheme) ? 2 : 1
}

/** @see https://www.unicode.org/reports/tr11/: the blocks that are W or F */
function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf && code !== 0x303f) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x20000 && code <= 0x3fffd)
  )
}
