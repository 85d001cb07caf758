import type { NodeRow } from '../model/lab-model.ts'
import { defineTableView } from '../shell/table-view.ts'
import { span } from '../shell/text.ts'
import type { ViewContext } from '../shell/view.ts'
import { formatKilobytes, formatSpan } from '../widgets/format.ts'
import { statusRole } from './workloads.ts'

type Row = NodeRow & { readonly upMs: number | undefined }

export default defineTableView<Row>({
  id: 'nodes',
  names: ['no', 'nodes'],
  title: 'nodes',
  defaultSort: { column: 'name', descending: false },
  columns: [
    { key: 'name', title: 'NAME', priority: 0, widthMax: 20, sortKey: 'N', value: ({ name }) => name },
    {
      key: 'status',
      title: 'STATUS',
      priority: 0,
      widthMax: 8,
      value: ({ status }) => status,
      role: ({ status }) => statusRole(status),
    },
    {
      key: 'pods',
      title: 'PODS',
      align: 'right',
      priority: 1,
      widthMax: 6,
      value: ({ pods }) => pods,
      format: ({ readyPods, pods }) => `${readyPods}/${pods}`,
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
    { key: 'pid', title: 'PID', align: 'right', priority: 3, widthMax: 8, value: ({ pid }) => pid },
    { key: 'hbone', title: 'HBONE', align: 'right', priority: 4, widthMax: 6, value: ({ ports }) => ports.hbone },
    { key: 'admin', title: 'ADMIN', align: 'right', priority: 6, widthMax: 6, value: ({ ports }) => ports.admin },
    { key: 'podcidr', title: 'POD CIDR', priority: 5, widthMax: 16, value: ({ podCidr }) => podCidr },
    {
      key: 'up',
      title: 'UP',
      align: 'right',
      priority: 4,
      widthMax: 6,
      value: ({ upMs }) => upMs,
      format: ({ upMs }) => formatSpan(upMs),
    },
    {
      key: 'note',
      title: 'NOTE',
      priority: 3,
      widthMax: 60,
      value: ({ reason, faults }) => [reason, ...faults].filter(Boolean).join(', '),
    },
  ],
  select: ({ model }) =>
    model.nodes.map((row) => ({
      ...row,
      upMs: row.status === 'ok' && row.startedAtMs !== undefined ? model.atMs - row.startedAtMs : undefined,
    })),
  problem: ({ status }) => status !== 'ok',
  keys: [
    {
      id: 'describe',
      keys: ['enter', 'd'],
      hint: '<d>escribe',
      help: 'its ztunnel, ports, pid',
      act: (row) => ({ do: 'show', title: `describe ${row.name}`, argv: ['describe', `node/${row.name}`] }),
    },
    {
      id: 'add',
      keys: ['a'],
      hint: '<a>dd',
      help: 'add a node',
      danger: true,
      act: (_, context) => addNode(context),
      without: addNode,
    },
    {
      id: 'remove',
      keys: ['ctrl-d'],
      hint: '<ctrl-d>remove',
      help: 'remove this node; its pods move',
      danger: true,
      act: (row) => ({
        do: 'run',
        argv: ['delete', `node/${row.name}`],
        confirm: `remove node ${row.name} and its ${row.pods} pods?`,
      }),
    },
    {
      id: 'kill',
      keys: ['ctrl-k'],
      hint: '<ctrl-k>kill',
      help: 'kill its process (a fault: node.kill)',
      danger: true,
      act: (row) => ({
        do: 'run',
        argv: ['fault', 'add', 'node.kill', row.name, '--for', 'forever'],
        confirm: `kill -9 the agent of ${row.name} (pid ${row.pid ?? '-'})?`,
      }),
    },
    {
      id: 'restart',
      keys: ['r'],
      hint: '<r>estart',
      help: 'start its agent again',
      danger: true,
      act: restart,
    },
    {
      id: 'inject',
      keys: ['i'],
      hint: '<i>nject',
      help: 'a fault on its links',
      danger: true,
      act: (row, context) => ({
        do: 'compose',
        text: `fault add link.delay ${row.name} ${peerOf(row, context)} --delay 120ms --for 1m`,
      }),
    },
    {
      id: 'logs',
      keys: ['l'],
      hint: '<l>ogs',
      help: "the agent's log",
      act: (row) => ({ do: 'show', title: `logs ${row.name}`, argv: ['logs', `node/${row.name}`] }),
    },
    {
      id: 'yaml',
      keys: ['y'],
      hint: '<y>aml',
      help: 'its object',
      act: (row) => ({ do: 'show', title: `yaml ${row.name}`, argv: ['get', `node/${row.name}`, '-o', 'yaml'] }),
    },
  ],
  empty: 'no nodes. <a> adds one',
  strip: (row, context) =>
    row ? { title: row.name, lines: stripLines(row, context).map((line) => [span(line)]) } : undefined,
  command: () => 'ambient get nodes -o wide --watch',
})

function addNode({ model }: ViewContext) {
  const numbers = model.nodes.flatMap(({ name }) => Number(/^n(\d+)$/.exec(name)?.[1] ?? 0))
  return { do: 'run', argv: ['node', 'add', `n${Math.max(0, ...numbers) + 1}`] } as const
}

/** A node that a fault holds down starts again when the fault is healed, and not before. */
function restart(row: NodeRow, { model }: ViewContext) {
  const holding = model.faults.find(({ id, type }) => type === 'node.kill' && row.faults.includes(id))
  return { do: 'run', argv: holding ? ['fault', 'heal', holding.id] : ['restart', `node/${row.name}`] } as const
}

function peerOf(row: NodeRow, { model }: ViewContext): string {
  return model.nodes.find(({ name }) => name !== row.name)?.name ?? 'n2'
}

function stripLines(row: Row, { model }: ViewContext): string[] {
  const here = model.workloads.filter(({ node }) => node === row.name).map(({ name }) => name)
  return [
    row.status === 'ok'
      ? `agent pid ${row.pid} on ${row.machine || 'this machine'}, up ${formatSpan(row.upMs)}`
      : `${row.status}  ${row.reason}`,
    `ports ${
      Object.entries(row.ports)
        .map(([name, port]) => `${name} ${port}`)
        .join('  ') || '-'
    }`,
    `runs  ${here.join(' ') || 'nothing'}`,
  ]
}
