import type { FaultRow } from '../model/lab-model.ts'
import { defineTableView } from '../shell/table-view.ts'
import { span } from '../shell/text.ts'
import type { ViewContext } from '../shell/view.ts'
import { formatSpan } from '../widgets/format.ts'

export default defineTableView<FaultRow>({
  id: 'faults',
  names: ['flt', 'faults'],
  title: 'faults',
  defaultSort: { column: 'id', descending: false },
  columns: [
    { key: 'id', title: 'ID', priority: 0, widthMax: 24, sortKey: 'N', value: ({ id }) => id },
    { key: 'type', title: 'TYPE', priority: 0, widthMax: 16, value: ({ type }) => type },
    { key: 'target', title: 'TARGET', priority: 1, widthMax: 30, value: ({ target }) => target },
    { key: 'params', title: 'PARAMS', priority: 2, widthMax: 20, value: ({ params }) => params },
    {
      key: 'left',
      title: 'LEFT',
      align: 'right',
      priority: 1,
      widthMax: 7,
      value: ({ leftMs }) => leftMs,
      format: ({ leftMs, state }) => (state === 'Ended' ? '-' : leftMs === undefined ? 'inf' : formatSpan(leftMs)),
    },
    {
      key: 'state',
      title: 'STATE',
      priority: 0,
      widthMax: 8,
      value: ({ state }) => state,
      role: ({ state }) => (state === 'Active' ? 'fault' : 'plain'),
    },
    { key: 'who', title: 'WHO', priority: 4, widthMax: 20, value: ({ owner }) => owner },
  ],
  select: ({ model }) => model.faults,
  problem: ({ state }) => state === 'Active',
  keys: [
    {
      id: 'add',
      keys: ['a'],
      hint: '<a>dd',
      help: 'add a fault',
      danger: true,
      act: (_, context) => addFault(context),
      without: addFault,
    },
    {
      id: 'describe',
      keys: ['enter', 'd'],
      hint: '<d>escribe',
      help: 'what it touches',
      act: ({ id }) => ({ do: 'show', title: `fault ${id}`, argv: ['fault', 'describe', id] }),
    },
    {
      id: 'heal',
      keys: ['ctrl-d'],
      hint: '<ctrl-d>heal one',
      help: 'heal this fault',
      danger: true,
      act: ({ id }) => ({ do: 'run', argv: ['fault', 'heal', id] }),
    },
    {
      id: 'repeat',
      keys: ['r'],
      hint: '<r>epeat',
      help: 'the same again',
      danger: true,
      act: (row) => ({ do: 'compose', text: composeLike(row) }),
    },
    {
      id: 'heal-all-hint',
      keys: [],
      hint: '<ctrl-l>HEAL ALL',
      help: 'heal every fault',
      danger: true,
      act: () => undefined,
    },
  ],
  empty: 'no faults. <a> adds one',
  strip: (_, { model }) => ({
    title: 'catalogue',
    note: '<a> to add',
    lines: [
      [span('link.delay A B --delay 120ms [--jitter 20ms]    bytes between two nodes wait')],
      [span('partition A,B C [--oneway]                      nothing passes between two sides')],
      [span('node.kill A                                     the agent is killed; healing starts it again')],
      [
        span(
          model.faults.some(({ state }) => state === 'Active')
            ? 'ctrl-l heals everything'
            : 'nothing is broken on purpose',
          'dim',
        ),
      ],
    ],
  }),
  command: () => 'ambient fault list -o wide --watch',
})

function addFault({ model }: ViewContext) {
  const [first = 'n1', second = 'n2'] = model.nodes.map(({ name }) => name)
  return { do: 'compose', text: `fault add link.delay ${first} ${second} --delay 120ms --for 1m` } as const
}

function composeLike({ type, target, params }: FaultRow): string {
  const delay = type === 'link.delay' ? ` --delay ${params.split(' ')[0]}` : ''
  return `fault add ${type} ${target.replace('node/', '').replace(/ <?> /, ' ')}${delay} --for 1m`
}
