import type { ConnectionRow } from '../model/lab-model.ts'
import { defineTableView, inNamespace, namespaceFlag } from '../shell/table-view.ts'
import { span, wrap } from '../shell/text.ts'
import { formatSpan } from '../widgets/format.ts'

export default defineTableView<ConnectionRow>({
  id: 'connections',
  names: ['con', 'connections', 'zc'],
  title: 'connections',
  defaultSort: { column: 'age', descending: false },
  columns: [
    { key: 'source', title: 'SRC', priority: 0, widthMax: 34, sortKey: 'S', value: ({ source }) => source },
    {
      key: 'destination',
      title: 'DST',
      priority: 0,
      widthMax: 34,
      sortKey: 'D',
      value: ({ destination }) => destination,
    },
    {
      key: 'dir',
      title: 'DIR',
      priority: 4,
      widthMax: 8,
      value: ({ direction }) => (direction === 'inbound' ? 'in' : 'out'),
    },
    {
      key: 'proto',
      title: 'PROTO',
      priority: 2,
      widthMax: 5,
      value: ({ protocol }) => protocol,
      role: ({ protocol }) => (protocol === 'TCP' ? 'open' : 'plain'),
    },
    { key: 'client', title: 'CLIENT ID', priority: 5, widthMax: 32, value: ({ sourceId }) => sourceId },
    { key: 'server', title: 'SERVER ID', priority: 6, widthMax: 32, value: ({ destinationId }) => destinationId },
    {
      key: 'state',
      title: 'STATE',
      priority: 1,
      widthMax: 6,
      value: ({ state }) => state,
      role: ({ state }) => (state === 'failed' ? 'bad' : state === 'open' ? 'good' : 'plain'),
    },
    {
      key: 'flags',
      title: 'FLAGS',
      priority: 3,
      widthMax: 14,
      value: ({ flags }) => flags,
      role: ({ flags }) => (flags === '-' ? 'plain' : 'bad'),
    },
    { key: 'sent', title: 'SENT', align: 'right', priority: 3, widthMax: 10, value: ({ bytesSent }) => bytesSent },
    {
      key: 'recv',
      title: 'RECV',
      align: 'right',
      priority: 3,
      widthMax: 10,
      value: ({ bytesReceived }) => bytesReceived,
    },
    {
      key: 'age',
      title: 'AGE',
      align: 'right',
      priority: 2,
      widthMax: 6,
      sortKey: 'A',
      value: ({ ageMs }) => ageMs,
      format: ({ ageMs }) => formatSpan(ageMs),
    },
    { key: 'node', title: 'NODE', priority: 7, widthMax: 10, wide: true, value: ({ object }) => object.spec.node },
    { key: 'service', title: 'SERVICE', priority: 8, widthMax: 44, wide: true, value: ({ service }) => service || '-' },
  ],
  select: (context) => inNamespace(context.model.connections, context),
  problem: ({ state, flags }) => state === 'failed' || flags !== '-',
  keys: [
    {
      id: 'peer',
      keys: ['enter'],
      hint: '<ent>service',
      help: 'the service it went to',
      act: ({ service }) => goToService(service),
    },
  ],
  empty: 'no connections yet',
  strip: (row, _, width) =>
    row ? { title: `connection ${row.id}`, lines: stripLines(row, width).map((line) => [span(line)]) } : undefined,
  command: (context) => `ambient get connections ${namespaceFlag(context)} -o wide --watch`,
})

function goToService(service: string) {
  const [name, namespace] = service.split('.')
  return name && namespace
    ? ({ do: 'go', view: 'service', subject: `${namespace}/${name}` } as const)
    : ({ do: 'say', level: 'WARN', text: 'it was dialled by address, not through a service' } as const)
}

function stripLines({ object: { spec } }: ConnectionRow, width: number): string[] {
  return [
    `${spec.source.identity || 'no identity'}  ${spec.source.address}`,
    `  > ${spec.destination.identity || 'no identity'}  ${spec.destination.address}${spec.destination.hboneAddress ? `  through ${spec.destination.hboneAddress}` : ''}`,
    `trace ${spec.traceId}  on ${spec.node}  ${spec.direction}`,
    ...(spec.error ? wrap(`ended: ${spec.error}`, width) : []),
  ]
}
