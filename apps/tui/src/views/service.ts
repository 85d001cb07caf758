import type { ConnectionRow, ServiceRow } from '../model/lab-model.ts'
import { type Line, span } from '../shell/text.ts'
import { defineView, type Screen, type ViewContext } from '../shell/view.ts'
import { beside, box } from '../widgets/box.ts'
import { formatKilobytes, formatRate, formatSpan } from '../widgets/format.ts'
import { sparkline } from '../widgets/sparkline.ts'
import { renderTable, type TableColumn } from '../widgets/table.ts'
import { benchLine } from './services.ts'

/** ztunnel's response flags that say a connection failed; the order is that of the reference. */
const FAILURE_FLAGS = ['DENY', 'CONNECT', 'TLS_FAILURE', 'IDENTITY_ERROR', 'H2_HANDSHAKE_FAILURE', 'CERT_REVOKED']

const PANE_HEIGHT = 12

/** One service: what L4 can know of it on the left, why L7 is empty on the right, its connections below. */
export default defineView({
  id: 'service',
  names: ['service'],
  title: 'service',
  keys: [
    {
      id: 'bench',
      keys: ['b'],
      hint: '<b>ench',
      help: 'start a load on it',
      danger: true,
      act: (context) => withService(context, (row) => ({ do: 'compose', text: benchLine(row) })),
    },
    {
      id: 'describe',
      keys: ['d'],
      hint: '<d>escribe',
      help: 'everything about it',
      act: (context) =>
        withService(context, (row) => ({
          do: 'show',
          title: `describe ${row.name}`,
          argv: ['describe', `svc/${row.name}`, '-n', row.namespace],
        })),
    },
    {
      id: 'back',
      keys: ['h'],
      hint: '<esc>back',
      help: 'back to the services',
      act: () => ({ do: 'go', view: 'services' }),
    },
  ],
  rows: (context) => connectionsOf(context).map(({ id }) => id),
  render,
  command: (context) =>
    withService(context, (row) => `ambient describe svc/${row.name} -n ${row.namespace}`) ?? 'ambient get svc',
  facts: (context) => withService(context, (row) => `svc ${row.name}  VIP ${row.address}:${row.ports}`) ?? '',
})

const columns: readonly TableColumn<ConnectionRow>[] = [
  { key: 'source', title: 'SRC', priority: 0, widthMax: 34, value: ({ source }) => source },
  { key: 'destination', title: 'DST', priority: 0, widthMax: 34, value: ({ destination }) => destination },
  { key: 'id', title: 'CLIENT ID', priority: 2, widthMax: 30, value: ({ sourceId }) => sourceId },
  { key: 'state', title: 'STATE', priority: 1, widthMax: 6, value: ({ state }) => state },
  {
    key: 'age',
    title: 'AGE',
    align: 'right',
    priority: 3,
    widthMax: 6,
    value: ({ ageMs }) => ageMs,
    format: ({ ageMs }) => formatSpan(ageMs),
  },
  { key: 'sent', title: 'SENT', align: 'right', priority: 4, widthMax: 10, value: ({ bytesSent }) => bytesSent },
  {
    key: 'recv',
    title: 'RECV',
    align: 'right',
    priority: 4,
    widthMax: 10,
    value: ({ bytesReceived }) => bytesReceived,
  },
]

function render(context: ViewContext, screen: Screen): Line[] {
  const service = withService(context, (row) => row)
  if (!service)
    return box(
      [[span(` ${context.view.subject} is gone`)]],
      { title: 'service', width: screen.width, height: screen.height },
      screen.glyphs,
    )
  const half = Math.floor(screen.width / 2)
  const top = Math.min(PANE_HEIGHT, screen.height - 6)
  const left = box(l4Lines(service, context), { title: 'L4 ztunnel', width: half, height: top }, screen.glyphs)
  const right = box(
    l7Lines(service),
    { title: 'L7 waypoint -', width: screen.width - half, height: top, focused: false },
    screen.glyphs,
  )
  const connections = connectionsOf(context)
  const table = renderTable({
    columns,
    rows: connections,
    width: screen.width - 2,
    height: screen.height - top - 2,
    selectedId: context.view.selectedId ?? connections[0]?.id,
    sort: undefined,
  })
  return [
    ...beside(left, right),
    ...box(
      table.lines,
      {
        title: `connections[${connections.length}]`,
        note: 'newest first',
        width: screen.width,
        height: screen.height - top,
      },
      screen.glyphs,
    ),
  ]
}

function l4Lines(service: ServiceRow, { model }: ViewContext): Line[] {
  const seen = model.connections.filter((connection) => isTo(connection, service))
  const count = (flag: string) => seen.filter(({ flags }) => flags === flag).length
  const failures = FAILURE_FLAGS.map((flag) => `${flag} ${count(flag)}`)
  const mutual = seen.filter(({ protocol }) => protocol === 'HBONE').length
  return [
    ` conns open ${service.openConnections}      opened ${formatRate(service.openedPerSecond)}/s   failed ${formatRate(service.failedPerSecond)}/s`,
    ` bytes ${formatKilobytes(service.bytesPerSecond)} kB/s   endpoints ${service.ready}/${service.total}`,
    ` secured ${seen.length === 0 ? '-' : `${mutual} of ${seen.length} seen by mTLS`}`,
    ' FAILED by reason, among those seen',
    `   ${failures.slice(0, 3).join('   ')}`,
    `   ${failures.slice(3).join('   ')}`,
    ` callers ${service.callers.join(' ') || '-'}`,
    ` conn/s ${sparkline(
      model.history.openedSeries(24, (key) => key.includes(`>${service.namespace}/${service.name}`)),
      24,
    )}`,
  ].map((line) => [span(line)])
}

function l7Lines(service: ServiceRow): Line[] {
  return [
    [span(' requests -   ok% -   p50 -   p99 -', 'dim')],
    [],
    [span(` No waypoint looks at ${service.name}:`)],
    [span(' L4 counts connections and bytes; requests,')],
    [span(' paths and codes need a waypoint.')],
  ]
}

function connectionsOf(context: ViewContext): ConnectionRow[] {
  return (
    withService(context, (service) =>
      context.model.connections
        .filter((connection) => connection.direction === 'outbound' && isTo(connection, service))
        .sort((a, b) => b.object.spec.openedAtMs - a.object.spec.openedAtMs),
    ) ?? []
  )
}

function isTo(connection: ConnectionRow, { name, namespace }: ServiceRow): boolean {
  return connection.service.startsWith(`${name}.${namespace}.`)
}

function withService<T>({ model, view }: ViewContext, use: (service: ServiceRow) => T): T | undefined {
  const service = model.services.find(({ id }) => id === view.subject)
  return service && use(service)
}
