import type { ServiceRow } from '../model/lab-model.ts'
import { defineTableView, inNamespace, namespaceFlag } from '../shell/table-view.ts'
import { formatKilobytes, formatRate } from '../widgets/format.ts'

export default defineTableView<ServiceRow>({
  id: 'services',
  names: ['svc', 'services'],
  title: 'services',
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
    { key: 'name', title: 'NAME', priority: 0, widthMax: 32, sortKey: 'N', value: ({ name }) => name },
    { key: 'vip', title: 'VIP', priority: 3, widthMax: 15, value: ({ address }) => address },
    { key: 'ports', title: 'PORTS', priority: 4, widthMax: 14, value: ({ ports }) => ports },
    {
      key: 'endpoints',
      title: 'ENDPOINTS',
      align: 'right',
      priority: 1,
      widthMax: 9,
      value: ({ ready }) => ready,
      format: ({ ready, total }) => `${ready}/${total}`,
      role: ({ ready, total }) => (total > 0 && ready === 0 ? 'bad' : ready < total ? 'warn' : 'plain'),
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
      key: 'open/s',
      title: 'OPEN/s',
      align: 'right',
      priority: 2,
      widthMax: 7,
      value: ({ openedPerSecond }) => openedPerSecond,
      format: ({ openedPerSecond }) => formatRate(openedPerSecond),
    },
    {
      key: 'fail/s',
      title: 'FAIL/s',
      align: 'right',
      priority: 3,
      widthMax: 7,
      value: ({ failedPerSecond }) => failedPerSecond,
      format: ({ failedPerSecond }) => formatRate(failedPerSecond),
      role: ({ failedPerSecond }) => ((failedPerSecond ?? 0) > 0 ? 'bad' : 'plain'),
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
    { key: 'callers', title: 'CALLERS', priority: 5, widthMax: 40, value: ({ callers }) => callers.join(',') || '-' },
  ],
  select: (context) => inNamespace(context.model.services, context),
  problem: ({ ready, total, failedPerSecond }) => (total > 0 && ready < total) || (failedPerSecond ?? 0) > 0,
  keys: [
    {
      id: 'open',
      keys: ['enter'],
      hint: '<ent>open',
      help: 'what L4 knows of it',
      act: (row) => ({ do: 'go', view: 'service', subject: row.id }),
    },
    {
      id: 'describe',
      keys: ['d'],
      hint: '<d>escribe',
      help: 'everything about it',
      act: (row) => ({
        do: 'show',
        title: `describe ${row.name}`,
        argv: ['describe', `svc/${row.name}`, '-n', row.namespace],
      }),
    },
    {
      id: 'bench',
      keys: ['b'],
      hint: '<b>ench',
      help: 'start a load on it',
      danger: true,
      act: (row) => ({ do: 'compose', text: benchLine(row) }),
    },
    {
      id: 'yaml',
      keys: ['y'],
      hint: '<y>aml',
      help: 'its object',
      act: (row) => ({
        do: 'show',
        title: `yaml ${row.name}`,
        argv: ['get', `svc/${row.name}`, '-n', row.namespace, '-o', 'yaml'],
      }),
    },
  ],
  empty: 'no services here',
  command: (context) => `ambient get svc ${namespaceFlag(context)} --watch`,
})

export function benchLine({ name, namespace, ports }: ServiceRow): string {
  return `load run http://${name}.${namespace}:${ports.split(',')[0]}/ --from deploy/curl -n ${namespace} --rate 50/s --for 30s`
}
