import { cut, displayWidth, fitLine, type Line, type Role, span } from '../shell/text.ts'

export interface BoxInit {
  /** At the left of the upper edge: `workloads(default)[7]`. */
  readonly title: string
  /** At its right: `sort NAME ^`. */
  readonly note?: string
  readonly width: number
  /** Edges included; content beyond it is cut, missing content is blank. */
  readonly height: number
  /** The box that has the keys. */
  readonly focused?: boolean
}

/** `ambient --ascii`, TERM=linux and dumb draw with these. */
export interface BoxGlyphs {
  readonly topLeft: string
  readonly topRight: string
  readonly bottomLeft: string
  readonly bottomRight: string
  readonly horizontal: string
  readonly vertical: string
}

export const LINES: BoxGlyphs = {
  topLeft: '┌',
  topRight: '┐',
  bottomLeft: '└',
  bottomRight: '┘',
  horizontal: '─',
  vertical: '│',
}
export const ASCII: BoxGlyphs = {
  topLeft: '+',
  topRight: '+',
  bottomLeft: '+',
  bottomRight: '+',
  horizontal: '-',
  vertical: '|',
}

/** A titled box around lines, each made exactly as wide as the box. */
export function box(content: readonly Line[], init: BoxInit, glyphs: BoxGlyphs = LINES): Line[] {
  const inner = init.width - 2
  const edge: Role = init.focused === false ? 'dim' : 'plain'
  const rows = Array.from({ length: Math.max(0, init.height - 2) }, (_, index) => [
    span(glyphs.vertical, edge),
    ...fitLine(content[index] ?? [], inner),
    span(glyphs.vertical, edge),
  ])
  return [
    topEdge(init, inner, edge, glyphs),
    ...rows,
    [span(glyphs.bottomLeft + glyphs.horizontal.repeat(inner) + glyphs.bottomRight, edge)],
  ]
}

function topEdge({ title, note }: BoxInit, inner: number, edge: Role, glyphs: BoxGlyphs): Line {
  const left = cut(` ${title} `, inner)
  const room = inner - displayWidth(left)
  const right = note && room > 3 ? cut(` ${note} `, room) : ''
  return [
    span(glyphs.topLeft, edge),
    span(left, 'title'),
    span(glyphs.horizontal.repeat(room - displayWidth(right)), edge),
    span(right, edge),
    span(glyphs.topRight, edge),
  ]
}

/** Boxes side by side: line i of each, in order. All must have the same height. */
export function beside(...boxes: readonly (readonly Line[])[]): Line[] {
  return (boxes[0] ?? []).map((_, index) => boxes.flatMap((lines) => lines[index] ?? []))
}
