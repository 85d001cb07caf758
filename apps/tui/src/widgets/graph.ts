import { displayWidth } from '../shell/text.ts'

export interface GraphNode {
  readonly id: string
  readonly label: string
}

export interface GraphEdge {
  readonly from: string
  readonly to: string
  readonly label: string
  /** `solid` for mTLS, `dotted` for plaintext. */
  readonly stroke: 'solid' | 'dotted'
}

/** A box of the layout, or a bend through which an edge passes a layer. */
interface Place {
  readonly id: string
  readonly label: string
  readonly layer: number
  row: number
}

interface Hop {
  readonly from: Place
  readonly to: Place
  readonly edge: GraphEdge
  /** Only the last hop of an edge ends in an arrow and carries its label. */
  readonly last: boolean
}

/**
 * Draws a directed graph as text, in layers from left to right by longest path; edges run in the channels between.
 * Pure: the same graph in the same size gives the same picture.
 * @returns lines of at most `width` columns, at most `height` of them
 */
export function drawGraph(
  nodes: readonly GraphNode[],
  edges: readonly GraphEdge[],
  width: number,
  height: number,
): string[] {
  if (nodes.length === 0) return []
  const layers = assignLayers(nodes, edges)
  const { places, hops } = addBends(nodes, edges, layers)
  orderRows(places, hops)
  const columns = placeColumns(places, width)
  const rows = Math.max(...places.map(({ row }) => row)) + 1
  const step = rows * 3 - 2 <= height ? 3 : rows * 2 - 1 <= height ? 2 : 1
  const grid = new Grid(width, Math.min(height, rows * step))
  for (const hop of hops) drawHop(grid, hop, columns, step)
  for (const place of places) if (place.label) grid.write(columns[place.layer]!.left, place.row * step, place.label)
  return grid.lines()
}

/** Longest path from a source; an edge that closes a cycle does not count. */
function assignLayers(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): Map<string, number> {
  const layers = new Map<string, number>()
  const onPath = new Set<string>()
  const visit = (id: string): number => {
    const known = layers.get(id)
    if (known !== undefined) return known
    onPath.add(id)
    const before = edges.filter((edge) => edge.to === id && edge.from !== id && !onPath.has(edge.from))
    const layer = before.reduce((max, edge) => Math.max(max, visit(edge.from) + 1), 0)
    onPath.delete(id)
    layers.set(id, layer)
    return layer
  }
  for (const { id } of nodes) visit(id)
  return layers
}

function addBends(nodes: readonly GraphNode[], edges: readonly GraphEdge[], layers: ReadonlyMap<string, number>) {
  const places: Place[] = nodes.map(({ id, label }) => ({ id, label, layer: layers.get(id)!, row: 0 }))
  const byId = new Map(places.map((place) => [place.id, place]))
  const hops: Hop[] = []
  for (const edge of edges) {
    const from = byId.get(edge.from)
    const to = byId.get(edge.to)
    if (!from || !to || from.layer >= to.layer) continue // a loop or a way back: the edge table has it
    let previous = from
    for (let layer = from.layer + 1; layer < to.layer; layer += 1) {
      const bend: Place = { id: `${edge.from}>${edge.to}@${layer}`, label: '', layer, row: 0 }
      places.push(bend)
      hops.push({ from: previous, to: bend, edge, last: false })
      previous = bend
    }
    hops.push({ from: previous, to, edge, last: true })
  }
  return { places, hops }
}

/** Rows by the mean row of the neighbours to the left: few crossings, and stable. */
function orderRows(places: readonly Place[], hops: readonly Hop[]): void {
  const depth = Math.max(...places.map(({ layer }) => layer))
  for (let layer = 0; layer <= depth; layer += 1) {
    const here = places.filter((place) => place.layer === layer)
    const weight = (place: Place) => {
      const before = hops.filter(({ to }) => to === place).map(({ from }) => from.row)
      return before.length > 0 ? before.reduce((sum, row) => sum + row, 0) / before.length : Number.MAX_SAFE_INTEGER
    }
    const sorted = here
      .map((place) => [place, weight(place)] as const)
      .sort(([a, x], [b, y]) => x - y || (a.id < b.id ? -1 : 1))
    sorted.forEach(([place], row) => {
      place.row = row
    })
  }
}

function placeColumns(places: readonly Place[], width: number): { left: number; right: number }[] {
  const depth = Math.max(...places.map(({ layer }) => layer)) + 1
  const widths = Array.from({ length: depth }, (_, layer) =>
    Math.max(1, ...places.filter((place) => place.layer === layer).map(({ label }) => displayWidth(label))),
  )
  const spare = width - widths.reduce((sum, each) => sum + each, 0)
  const channel = depth > 1 ? Math.max(4, Math.min(24, Math.floor(spare / (depth - 1)))) : 0
  let left = 0
  return widths.map((each) => {
    const column = { left, right: left + each }
    left = column.right + channel
    return column
  })
}

function drawHop(
  grid: Grid,
  { from, to, edge, last }: Hop,
  columns: readonly { left: number; right: number }[],
  step: number,
): void {
  const start = from.label ? columns[from.layer]!.left + displayWidth(from.label) : columns[from.layer]!.left
  const end = columns[to.layer]!.left - 1
  const bend = columns[from.layer]!.right + 1
  const y0 = from.row * step
  const y1 = to.row * step
  if (y0 === y1) {
    grid.horizontal(start, end, y0, edge.stroke)
  } else {
    grid.horizontal(start, bend, y0, edge.stroke)
    grid.vertical(bend, y0, y1)
    grid.horizontal(bend + 1, end, y1, edge.stroke)
  }
  if (!last) return
  grid.write(end, y1, '>')
  const room = end - bend - 2
  const label = displayWidth(edge.label) <= room ? edge.label : ''
  if (label) grid.write(bend + 1 + ((room - displayWidth(label)) >> 1), y1, label)
}

class Grid {
  readonly #width: number
  readonly #cells: string[][]

  constructor(width: number, height: number) {
    this.#width = width
    this.#cells = Array.from({ length: height }, () => new Array<string>(width).fill(' '))
  }

  write(x: number, y: number, text: string): void {
    ;[...text].forEach((character, index) => {
      this.#put(x + index, y, character)
    })
  }

  horizontal(from: number, to: number, y: number, stroke: 'solid' | 'dotted'): void {
    for (let x = from; x <= to; x += 1) {
      const below = this.#cells[y]?.[x]
      this.#put(x, y, below === '|' || below === '+' ? '+' : stroke === 'solid' ? '-' : x % 2 === 0 ? '.' : ' ')
    }
  }

  vertical(x: number, from: number, to: number): void {
    const [top, bottom] = from < to ? [from, to] : [to, from]
    for (let y = top; y <= bottom; y += 1) {
      const corner = y === from || y === to || this.#cells[y]?.[x] === '-' || this.#cells[y]?.[x] === '+'
      this.#put(x, y, corner ? '+' : '|')
    }
  }

  lines(): string[] {
    return this.#cells.map((row) => row.join('').trimEnd())
  }

  #put(x: number, y: number, character: string): void {
    const row = this.#cells[y]
    if (row && x >= 0 && x < this.#width) row[x] = character
  }
}
