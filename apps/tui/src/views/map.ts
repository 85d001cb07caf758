import type { EdgeRow } from '../model/lab-model.ts'
import { parseFilter } from '../shell/filter.ts'
import { inNamespace, namespaceFlag } from '../shell/table-view.ts'
import { type Line, span } from '../shell/text.ts'
import { defineView, type Screen, type ViewContext } from '../shell/view.ts'
import { box } from '../widgets/box.ts'
import { formatKilobytes, formatRate } from '../widgets/format.ts'
import { drawGraph } from '../widgets/graph.ts'
import { renderTable, sortRows, type TableColumn } from '../widgets/table.ts'

/** More than this many boxes are folded into their namespaces. */
const BOXES_MAX = 12

const columns: readonly TableColumn<EdgeRow>[] = [
  { key: 'src', title: 'SRC', priority: 0, widthMax: 28, value: ({ source }) => source },
  { key: 'dst', title: 'DST', priority: 0, widthMax: 28, value: ({ destination }) => destination },
  { key: 'via', title: 'VIA', priority: 6, widthMax: 10, value: () => undefined },
  { key: 'conn', title: 'CONN', align: 'right', priority: 1, widthMax: 6, sortKey: 'C', value: ({ open }) => open },
  {
    key: 'open/s',
    title: 'OPEN/s',
    align: 'right',
    priority: 2,
    widthMax: 7,
    value: ({ openedPerSecond }) => openedPerSecond,
    format: ({ openedPerSecond }) => formatRate(openedPerSecond),
  },
  {
    key: 'kb/s',
    title: 'kB/s',
    align: 'right',
    priority: 1,
    widthMax: 8,
    value: ({ bytesPerSecond }) => bytesPerSecond,
    format: ({ bytesPerSecond }) => formatKilobytes(bytesPerSecond),
  },
  { key: 'r/s', title: 'r/s', align: 'right', priority: 5, widthMax: 5, value: () => undefined },
  { key: 'ok%', title: 'OK%', align: 'right', priority: 5, widthMax: 5, value: () => undefined },
  {
    key: 'secured',
    title: 'SECURED',
    priority: 1,
    widthMax: 7,
    value: ({ secured }) => secured,
    role: ({ secured }) => (secured === 'PLAIN' ? 'open' : 'good'),
  },
  { key: 'client', title: 'CLIENT ID', priority: 4, widthMax: 32, value: ({ clientId }) => clientId },
  {
    key: 'note',
    title: 'NOTE',
    priority: 3,
    widthMax: 30,
    value: ({ note }) => note,
    role: ({ note }) => (note.startsWith('DENY') || note === 'FAIL' ? 'bad' : 'plain'),
  },
]

const DEFAULT_SORT = { column: 'kb/s', descending: true }

/** Who talks to whom: the picture above, the same as a table below. */
export default defineView({
  id: 'map',
  names: ['map', 'graph'],
  title: 'map',
  sortColumns: columns.map(({ key }) => ({ key })),
  keys: [
    {
      id: 'open',
      keys: ['enter'],
      hint: '<ent>open',
      help: "the edge's service",
      act: (context) => withEdge(context, openService),
    },
    {
      id: 'inject',
      keys: ['i'],
      hint: '<i>nject',
      help: 'a fault',
      danger: true,
      act: ({ model }) => ({
        do: 'compose',
        text: `fault add link.delay ${model.nodes[0]?.name ?? 'n1'} ${model.nodes[1]?.name ?? 'n2'} --delay 120ms --for 1m`,
      }),
    },
    { id: 'nodes', keys: ['n'], hint: '<n>odes', help: 'the nodes', act: () => ({ do: 'go', view: 'nodes' }) },
    {
      id: 'workloads',
      keys: ['w'],
      hint: '<w>orkloads',
      help: 'the workloads',
      act: () => ({ do: 'go', view: 'workloads' }),
    },
    {
      id: 'services',
      keys: ['s'],
      hint: '<s>ervices',
      help: 'the services',
      act: () => ({ do: 'go', view: 'services' }),
    },
    {
      id: 'connections',
      keys: ['c'],
      hint: '<c>onnections',
      help: 'the connections',
      act: () => ({ do: 'go', view: 'connections' }),
    },
    { id: 'faults', keys: ['x'], hint: '<x>faults', help: 'the faults', act: () => ({ do: 'go', view: 'faults' }) },
    { id: 'events', keys: ['e'], hint: '<e>vents', help: 'what happened', act: () => ({ do: 'go', view: 'events' }) },
    { id: 'bench', keys: ['b'], hint: '<b>ench', help: 'the loads', act: () => ({ do: 'go', view: 'loads' }) },
  ],
  rows: (context) => edgesShown(context).map(({ id }) => id),
  render,
  command: (context) => `ambient get edges ${namespaceFlag(context)} --watch`,
})

function edgesShown(context: ViewContext): readonly EdgeRow[] {
  const filter = parseFilter(context.view.filter)
  const rows = inNamespace(context.model.edges, context).filter(
    (row) =>
      row.live &&
      filter.matches({
        text: `${row.source} ${row.destination} ${row.secured} ${row.note}`,
        value: (name) => columns.find(({ key }) => key === name)?.value(row),
      }),
  )
  return sortRows(rows, columns, context.view.sort ?? DEFAULT_SORT)
}

function render(context: ViewContext, screen: Screen): Line[] {
  const edges = edgesShown(context)
  const tableHeight = Math.max(5, Math.min(edges.length + 3, Math.floor(screen.height / 2)))
  const mapHeight = screen.height - tableHeight
  const sort = context.view.sort ?? DEFAULT_SORT
  const table = renderTable({
    columns,
    rows: edges,
    width: screen.width - 2,
    height: tableHeight - 2,
    selectedId: context.view.selectedId ?? edges[0]?.id,
    sort,
  })
  return [
    ...box(
      picture(edges, context, screen.width - 4, mapHeight - 2),
      {
        title: `map(${context.ui.namespace}) by workload`,
        note: '60s window',
        width: screen.width,
        height: mapHeight,
        focused: false,
      },
      screen.glyphs,
    ),
    ...box(
      edges.length > 0 ? table.lines : [table.lines[0]!, [span(' no traffic yet', 'dim')]],
      {
        title: `edges[${edges.length}]`,
        note: `sort ${sort.column} ${sort.descending ? 'v' : '^'}`,
        width: screen.width,
        height: tableHeight,
      },
      screen.glyphs,
    ),
  ]
}

function picture(edges: readonly EdgeRow[], { model }: ViewContext, width: number, height: number): Line[] {
  const legend = '--- L4 mTLS (bytes only)   . . . plaintext'
  const faults = model.faults
    .filter(({ state }) => state === 'Active')
    .map(({ id, type, target, params }) => `! ${type} ${target} ${params} (${id})`)
  const room = height - 2 - faults.length
  const names = [...new Set(edges.flatMap(({ source, destination }) => [source, destination]))].sort()
  const fold = names.length > BOXES_MAX
  const nameOf = (edge: EdgeRow, end: 'source' | 'destination') => (fold ? edge.namespace : edge[end])
  const nodes = [...new Set(edges.flatMap((edge) => [nameOf(edge, 'source'), nameOf(edge, 'destination')]))]
  const lines = drawGraph(
    nodes.map((id) => ({ id, label: `[${id}]` })),
    edges.map((edge) => ({
      from: nameOf(edge, 'source'),
      to: nameOf(edge, 'destination'),
      label: edge.bytesPerSecond === undefined ? '' : `${formatKilobytes(edge.bytesPerSecond)}kB/s`,
      stroke: edge.secured === 'mTLS' ? 'solid' : 'dotted',
    })),
    width,
    Math.max(1, room),
  )
  const blank = Math.max(0, room - lines.length)
  return [
    ...lines.map((line) => [span(` ${line}`)]),
    ...Array.from({ length: blank }, () => []),
    [],
    [span(` ${legend}`, 'dim')],
    ...faults.map((fault) => [span(` ${fault}`, 'fault')]),
  ]
}

function withEdge<T>(context: ViewContext, use: (edge: EdgeRow) => T): T | undefined {
  const edges = edgesShown(context)
  const edge = edges.find(({ id }) => id === context.view.selectedId) ?? edges[0]
  return edge && use(edge)
}

function openService({ service }: EdgeRow) {
  const [name, namespace] = service.split('.')
  return name && namespace
    ? ({ do: 'go', view: 'service', subject: `${namespace}/${name}` } as const)
    : ({ do: 'say', level: 'WARN', text: 'it was dialled by address, not through a service' } as const)
}
