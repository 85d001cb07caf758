import type { WorkloadRow } from '../model/lab-model.ts'
import { HISTORY_SECONDS } from '../model/traffic-history.ts'
import { defineTableView, inNamespace, namespaceFlag, type RowKey } from '../shell/table-view.ts'
import { span, wrap } from '../shell/text.ts'
import type { ViewContext } from '../shell/view.ts'
import { formatKilobytes, formatSpan } from '../widgets/format.ts'
import { sparkline } from '../widgets/sparkline.ts'

/** A workload row with its minute of traffic, which the last column draws. */
type Row = WorkloadRow & { readonly series: readonly number[] }

const SPARK_POINTS = 6

export const workloadKeys: readonly RowKey<WorkloadRow>[] = [
  {
    id: 'describe',
    keys: ['enter', 'd'],
    hint: '<d>escribe',
    help: 'everything about this workload',
    act: (row) => show(row, 'describe'),
  },
  { id: 'logs', keys: ['l'], hint: '<l>ogs', help: 'what it wrote', act: (row) => show(row, 'logs') },
  {
    id: 'yaml',
    keys: ['y'],
    hint: '<y>aml',
    help: 'its object',
    act: (row) => ({
      do: 'show',
      title: `yaml ${row.name}`,
      argv: ['get', `pod/${row.name}`, '-n', row.namespace, '-o', 'yaml'],
    }),
  },
  {
    id: 'scale',
    keys: ['S'],
    hint: '<S>cale',
    help: 'change how many there are',
    danger: true,
    act: (row) => ({ do: 'compose', text: `scale deploy/${row.owner} -n ${row.namespace} --replicas ` }),
  },
  {
    id: 'restart',
    keys: ['r'],
    hint: '<r>estart',
    help: 'restart its deployment',
    danger: true,
    act: (row) => ({ do: 'run', argv: ['restart', `deploy/${row.owner}`, '-n', row.namespace] }),
  },
  {
    id: 'bench',
    keys: ['b'],
    hint: '<b>ench',
    help: 'start a load from here',
    danger: true,
    act: (row) => ({
      do: 'compose',
      text: `load run http://productpage:9080/productpage --from ${row.name} -n ${row.namespace} --rate 50/s --for 30s`,
    }),
  },
  {
    id: 'inject',
    keys: ['i'],
    hint: '<i>nject',
    help: 'a fault on its node',
    danger: true,
    act: (row) => ({
      do: 'compose',
      text: `fault add link.delay ${row.node} ${otherNode(row)} --delay 120ms --for 1m`,
    }),
  },
  {
    id: 'delete',
    keys: ['ctrl-d'],
    hint: '<ctrl-d>delete',
    help: 'delete this pod; its deployment makes another',
    danger: true,
    act: (row) => ({
      do: 'run',
      argv: ['delete', `pod/${row.name}`, '-n', row.namespace],
      confirm: `delete pod ${row.name}?`,
    }),
  },
]

export default defineTableView<Row>({
  id: 'workloads',
  names: ['wl', 'po', 'workloads', 'pods'],
  title: 'workloads',
  defaultSort: { column: 'name', descending: false },
  columns: [
    {
      key: 'namespace',
      title: 'NAMESPACE',
      priority: 7,
      widthMax: 16,
      wide: true,
      value: ({ namespace }) => namespace,
    },
    { key: 'name', title: 'NAME', priority: 0, widthMax: 40, sortKey: 'N', value: ({ name }) => name },
    { key: 'node', title: 'NODE', priority: 1, widthMax: 12, value: ({ node }) => node },
    { key: 'address', title: 'ADDRESS', priority: 8, widthMax: 15, wide: true, value: ({ address }) => address },
    { key: 'mode', title: 'MODE', priority: 5, widthMax: 8, value: ({ mode }) => mode },
    {
      key: 'status',
      title: 'STATUS',
      priority: 0,
      widthMax: 18,
      value: ({ status }) => status,
      role: ({ status }) => statusRole(status),
    },
    {
      key: 'conn',
      title: 'CONN',
      align: 'right',
      priority: 2,
      widthMax: 6,
      sortKey: 'C',
      value: ({ openConnections }) => openConnections,
    },
    {
      key: 'kb/s',
      title: 'kB/s',
      align: 'right',
      priority: 2,
      widthMax: 8,
      value: ({ bytesPerSecond }) => bytesPerSecond,
      format: ({ bytesPerSecond }) => formatKilobytes(bytesPerSecond),
    },
    { key: 'r/s', title: 'R/S', align: 'right', priority: 6, widthMax: 5, value: () => undefined },
    { key: 'ok%', title: 'OK%', align: 'right', priority: 6, widthMax: 5, value: () => undefined },
    { key: 'p99', title: 'P99', align: 'right', priority: 6, widthMax: 5, value: () => undefined },
    {
      key: 'cert',
      title: 'CERT',
      align: 'right',
      priority: 3,
      widthMax: 6,
      value: ({ certificateEndsInMs }) => certificateEndsInMs,
      format: ({ certificateEndsInMs }) => formatSpan(certificateEndsInMs),
    },
    {
      key: 'restarts',
      title: 'RESTARTS',
      align: 'right',
      priority: 9,
      widthMax: 8,
      wide: true,
      value: ({ restarts }) => restarts,
    },
    {
      key: '60s',
      title: '60s',
      priority: 4,
      widthMax: SPARK_POINTS,
      value: ({ series }) => series.at(-1),
      format: ({ series }) => sparkline(series, SPARK_POINTS),
    },
  ],
  select: (context) =>
    inNamespace(context.model.workloads, context).map((row) => ({
      ...row,
      series: context.model.history.podSeries(row.id, SPARK_POINTS),
    })),
  problem: ({ status }) => status !== 'ok',
  keys: workloadKeys,
  empty: 'no workloads. <!> then: apply -f examples/bookinfo',
  strip: (row, context, width) => ({
    title: row ? row.name : 'note',
    lines: stripLines(row, context, width).map((line) => [span(line)]),
  }),
  command: (context) => `ambient get wl ${namespaceFlag(context)} -o wide --watch`,
})

function stripLines(row: Row | undefined, { model }: ViewContext, width: number): string[] {
  if (!row) return []
  const how =
    row.mode === 'sidecar' ? 'behind its sidecar' : `captured, SVID valid for ${formatSpan(row.certificateEndsInMs)}`
  const state = row.status === 'ok' ? `ok     ${how}` : `${row.status}  ${row.note}`
  return [
    ...wrap(state, width, '       '),
    `       ${row.namespace}/${row.owner}  ${row.address}  last ${HISTORY_SECONDS} s ${sparkline(model.history.podSeries(row.id, 30), 30)}`,
    ...wrap('R/S, OK% and P99 stay empty where no waypoint looks at requests: L4 sees connections and bytes.', width),
  ]
}

function show(row: WorkloadRow, verb: 'describe' | 'logs') {
  return { do: 'show', title: `${verb} ${row.name}`, argv: [verb, `pod/${row.name}`, '-n', row.namespace] } as const
}

export function statusRole(status: string) {
  if (status === 'ok') return 'good' as const
  if (status === 'PLAIN') return 'open' as const
  return status === 'EXPIRING' || status === 'PENDING' || status === 'ENDING' || status === 'JOINING'
    ? ('warn' as const)
    : ('bad' as const)
}

/** Something for the person to change in the composed line. */
function otherNode({ node }: WorkloadRow): string {
  return node === 'n1' ? 'n2' : 'n1'
}
