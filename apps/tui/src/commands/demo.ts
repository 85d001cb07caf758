import { defineCommand } from '../cli/command.ts'
import { TIMEOUT_FLAG } from '../cli/global-flags.ts'

export default defineCommand({
  name: 'demo',
  summary: 'bring up Bookinfo, show it, and take it down again',
  group: 'lab',
  flags: [
    { name: 'for', kind: 'duration', value: 'DURATION', summary: 'off a terminal: end after this; else at Ctrl-C' },
    { name: 'keep', kind: 'boolean', summary: 'leave the lab running at the end' },
    TIMEOUT_FLAG,
  ],
  examples: [
    { line: 'ambient demo', says: 'what npm start does' },
    { line: 'ambient demo --for 10s', says: 'without a terminal: one status line a second' },
    { line: 'ambient demo --keep', says: 'and leave it running' },
  ],
  exits: ['unavailable', 'cannot create', 'try later'],
  async run(context) {
    const { runDemo } = await import('../tasks/demo.ts')
    return runDemo(context)
  },
})
