import type { EventRow } from '../model/lab-model.ts'
import { defineTableView, namespaceFlag } from '../shell/table-view.ts'
import { span, wrap } from '../shell/text.ts'
import { formatTimeOfDay } from '../widgets/format.ts'

export default defineTableView<EventRow>({
  id: 'events',
  names: ['ev', 'events', 'log'],
  title: 'events',
  defaultSort: { column: 'time', descending: true },
  columns: [
    {
      key: 'time',
      title: 'TIME',
      priority: 0,
      widthMax: 8,
      sortKey: 'T',
      value: ({ atMs }) => atMs,
      format: ({ atMs }) => formatTimeOfDay(atMs),
    },
    {
      key: 'type',
      title: 'TYPE',
      priority: 1,
      widthMax: 4,
      value: ({ type }) => type,
      role: ({ type }) => (type === 'WARN' ? 'warn' : 'good'),
    },
    { key: 'reason', title: 'REASON', priority: 0, widthMax: 22, sortKey: 'R', value: ({ reason }) => reason },
    { key: 'object', title: 'OBJECT', priority: 2, widthMax: 44, sortKey: 'O', value: ({ object }) => object },
    { key: 'count', title: 'N', align: 'right', priority: 4, widthMax: 4, value: ({ count }) => count },
    { key: 'message', title: 'MESSAGE', priority: 0, widthMax: 120, value: ({ message }) => message },
  ],
  select: ({ model, ui }) =>
    model.events.filter(({ namespace }) => ui.namespace === 'all' || namespace === ui.namespace || namespace === ''),
  problem: ({ type }) => type === 'WARN',
  keys: [
    {
      id: 'describe',
      keys: ['enter', 'd'],
      hint: '<d>escribe',
      help: "the event's object",
      act: ({ object, namespace }) => ({
        do: 'show',
        title: `describe ${object}`,
        argv: ['describe', object, ...(namespace ? ['-n', namespace] : [])],
      }),
    },
  ],
  empty: 'nothing happened yet',
  strip: (row, _, width) =>
    row ? { title: row.reason, lines: wrap(row.message, width).map((line) => [span(line)]) } : undefined,
  command: (context) => `ambient get events ${namespaceFlag(context)} --watch`,
})
