import type { LoadRow } from '../model/lab-model.ts'
import { defineTableView, inNamespace, namespaceFlag } from '../shell/table-view.ts'
import type { ViewContext } from '../shell/view.ts'

export default defineTableView<LoadRow>({
  id: 'loads',
  names: ['load', 'loads', 'bench'],
  title: 'loads',
  defaultSort: { column: 'name', descending: false },
  columns: [
    { key: 'name', title: 'NAME', priority: 0, widthMax: 24, sortKey: 'N', value: ({ name }) => name },
    { key: 'from', title: 'FROM', priority: 2, widthMax: 24, value: ({ from }) => from },
    { key: 'url', title: 'URL', priority: 3, widthMax: 60, value: ({ url }) => url },
    { key: 'rate', title: 'RATE', align: 'right', priority: 1, widthMax: 8, value: ({ rate }) => rate },
    {
      key: 'phase',
      title: 'PHASE',
      priority: 0,
      widthMax: 8,
      value: ({ phase }) => phase,
      role: ({ phase }) => (phase === 'Failed' ? 'bad' : 'plain'),
    },
    { key: 'done', title: 'DONE', align: 'right', priority: 1, widthMax: 10, value: ({ completed }) => completed },
    {
      key: 'failed',
      title: 'FAILED',
      align: 'right',
      priority: 1,
      widthMax: 8,
      value: ({ failed }) => failed,
      role: ({ failed }) => (failed > 0 ? 'bad' : 'plain'),
    },
    {
      key: 'p50',
      title: 'P50',
      align: 'right',
      priority: 2,
      widthMax: 7,
      value: ({ p50 }) => p50,
      format: ({ p50 }) => p50?.toFixed(1) ?? '-',
    },
    {
      key: 'p99',
      title: 'P99',
      align: 'right',
      priority: 2,
      widthMax: 7,
      value: ({ p99 }) => p99,
      format: ({ p99 }) => p99?.toFixed(1) ?? '-',
    },
  ],
  select: (context) => inNamespace(context.model.loads, context),
  problem: ({ failed, phase }) => failed > 0 || phase === 'Failed',
  keys: [
    {
      id: 'add',
      keys: ['a', 'b'],
      hint: '<a>dd',
      help: 'start a load',
      danger: true,
      act: (_, context) => addLoad(context),
      without: addLoad,
    },
    {
      id: 'describe',
      keys: ['enter', 'd'],
      hint: '<d>escribe',
      help: 'its numbers',
      act: ({ name, namespace }) => ({
        do: 'show',
        title: `load ${name}`,
        argv: ['describe', `load/${name}`, '-n', namespace],
      }),
    },
    {
      id: 'stop',
      keys: ['ctrl-d'],
      hint: '<ctrl-d>stop',
      help: 'stop and remove it',
      danger: true,
      act: ({ name, namespace }) => ({ do: 'run', argv: ['load', 'stop', name, '-n', namespace] }),
    },
  ],
  empty: 'no loads. <a> starts one',
  command: (context) => `ambient load list ${namespaceFlag(context)} --watch`,
})

function addLoad({ ui }: ViewContext) {
  const namespace = ui.namespace === 'all' ? 'default' : ui.namespace
  return {
    do: 'compose',
    text: `load run http://productpage:9080/productpage --from deploy/curl -n ${namespace} --rate 50/s --for 30s`,
  } as const
}
