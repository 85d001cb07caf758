import { defineCommand } from '../cli/command.ts'

export default defineCommand({
  name: 'top',
  summary: 'live numbers of workloads or nodes; one sample off a terminal',
  group: 'traffic',
  usage: 'wl | no',
  takes: [1, 1],
  flags: [
    { name: 'interval', kind: 'duration', value: 'DURATION', default: '1s', summary: 'what rates are measured over' },
    { name: 'once', kind: 'boolean', summary: 'one sample, also on a terminal' },
    {
      name: 'output',
      short: 'o',
      kind: 'text',
      value: 'FORMAT',
      default: 'table',
      choices: ['table', 'json', 'jsonl'],
      summary: 'table json jsonl (one sample a line)',
      group: 'output',
    },
    { name: 'no-headers', kind: 'boolean', summary: 'tables without their first line', group: 'output' },
  ],
  examples: [
    { line: 'ambient top wl', says: 'connections and bytes per second, by workload' },
    { line: 'ambient top no --once', says: 'CPU and memory of each agent' },
    { line: 'ambient top wl -o json', says: 'one sample for scripts' },
  ],
  exits: ['unavailable'],
  async run(context) {
    const { runTop } = await import('../tasks/top.ts')
    return runTop(context)
  },
})
