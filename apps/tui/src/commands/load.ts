import { type Command, defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { NAMESPACE_FLAG, NAMESPACE_FLAGS, OUTPUT_FLAGS } from '../cli/global-flags.ts'

const run: Command = {
  name: 'run',
  summary: 'send requests at a steady rate from a workload, and measure',
  group: 'faults and load',
  usage: 'svc/NAME[:PORT] | URL',
  takes: [1, 1],
  completes: ['object'],
  flags: [
    { name: 'from', kind: 'text', value: 'WORKLOAD', summary: 'who sends: deploy/curl, pod/x' },
    {
      name: 'rate',
      kind: 'text',
      value: 'N/s',
      default: '20/s',
      summary: 'in total; open loop: it does not wait for answers',
    },
    { name: 'for', kind: 'duration', value: 'DURATION', default: '10s', summary: 'how long' },
    { name: 'warmup', kind: 'duration', value: 'DURATION', summary: 'before it, not counted' },
    { name: 'path', kind: 'text', value: 'PATH', default: '/', summary: 'of svc/NAME' },
    { name: 'method', short: 'X', kind: 'text', value: 'METHOD', default: 'GET', summary: 'HTTP method' },
    { name: 'header', short: 'H', kind: 'list', value: 'NAME: VALUE', summary: 'HTTP header; may be repeated' },
    { name: 'data', short: 'd', kind: 'text', value: 'TEXT|@FILE', summary: 'body' },
    { name: 'tcp', kind: 'boolean', summary: 'connections with an echo of --bytes instead of HTTP' },
    { name: 'bytes', kind: 'text', value: 'SIZE', summary: 'of --tcp: sent and expected back, 4KiB' },
    { name: 'max-in-flight', kind: 'number', value: 'N', summary: 'more than this at once are late, and counted so' },
    {
      name: 'fail-if',
      kind: 'list',
      value: 'EXPR',
      summary: 'exit 1 when it holds: p99>50ms, errors>0.1%; may be repeated',
    },
    { name: 'uncorrected', short: 'u', kind: 'boolean', summary: 'also what a closed loop would have claimed' },
    { name: 'name', kind: 'text', value: 'NAME', summary: 'of the Load object' },
    NAMESPACE_FLAG,
    {
      name: 'output',
      short: 'o',
      kind: 'text',
      value: 'FORMAT',
      default: 'table',
      choices: ['table', 'json', 'hdr'],
      summary: 'table json hdr (histogram log)',
      group: 'output',
    },
  ],
  examples: [
    {
      line: 'ambient load run svc/productpage --path /productpage --from deploy/curl --rate 50/s --for 30s',
      says: 'page views, timed from the moment each was due',
    },
    {
      line: "ambient load run http://reviews:9080/reviews/0 --from deploy/curl --fail-if 'p99>50ms' --fail-if 'errors>0.1%'",
      says: 'a threshold for CI',
    },
    { line: 'ambient load run svc/tcp-echo --tcp --bytes 4KiB --from deploy/curl --rate 20/s', says: 'connections' },
  ],
  exits: ['no', 'nothing', 'data', 'unavailable', 'try later'],
  notes:
    'Exit 1: a threshold was crossed. 2: not one request got through. 75: the rate could not be kept (numbers are kept,\nand marked). Ctrl-C ends the load and prints what there is.',
  async run(context) {
    const { runLoad } = await import('../tasks/load-run.ts')
    return runLoad(context)
  },
}

const list: Command = {
  name: 'list',
  aliases: ['ls'],
  summary: 'every load, running or finished',
  group: 'faults and load',
  flags: [
    { name: 'watch', short: 'w', kind: 'boolean', summary: 'and then every change, until Ctrl-C' },
    ...NAMESPACE_FLAGS,
    ...OUTPUT_FLAGS,
  ],
  examples: [
    { line: 'ambient load list', says: 'with rates and percentiles' },
    { line: 'ambient load list -A --watch', says: 'everywhere, as they change' },
    { line: 'ambient load list -o json', says: 'for scripts' },
  ],
  exits: ['unavailable'],
  async run(context) {
    const { printList } = await import('../tasks/print-list.ts')
    return printList(context, 'loads')
  },
}

const stop: Command = {
  name: 'stop',
  summary: 'end loads and forget them',
  group: 'faults and load',
  usage: 'NAME… | --all',
  takes: [0, 50],
  flags: [{ name: 'all', kind: 'boolean', summary: 'every load of the namespace' }, NAMESPACE_FLAG],
  examples: [
    { line: 'ambient load stop bookinfo', says: 'the demo’s own traffic' },
    { line: 'ambient load stop --all', says: 'silence' },
    { line: 'ambient load stop load/run-1 -n default', says: 'as load list -o name prints it' },
  ],
  exits: ['nothing', 'unavailable'],
  async run(context) {
    const { LOADS } = await import('../tasks/resource-types.ts')
    const { usageError } = await import('../cli/usage-error.ts')
    const { args, flags, io, signal } = context
    if (args.length === 0 && !flags.boolean('all')) throw usageError('stop what?', 'ambient load stop NAME, or --all')
    const client = await context.api()
    const namespace = flags.word('namespace')
    const all = flags.boolean('all')
      ? (await client.list(LOADS, { namespace, signal })).items.map(({ metadata }) => metadata.name)
      : []
    for (const name of [...args.map((arg) => arg.replace(/^loads?\//, '')), ...all]) {
      await client.delete(LOADS, { name, namespace }, { signal })
      io.answer(`load/${name} stopped\n`)
    }
    return exitCode('ok')
  },
}

export default defineCommand({
  name: 'load',
  summary: 'traffic at a steady rate, and what it measured',
  group: 'faults and load',
  verbs: [run, list, stop],
  examples: [
    { line: 'ambient load run svc/productpage --path /productpage --from deploy/curl', says: 'ten seconds at 20/s' },
    { line: 'ambient load list', says: 'what runs' },
    { line: 'ambient load stop --all', says: 'and end it' },
  ],
})
