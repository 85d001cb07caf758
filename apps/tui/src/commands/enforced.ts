import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DOCUMENT_FLAG, NAMESPACE_FLAGS } from '../cli/global-flags.ts'

export default defineCommand({
  name: 'enforced',
  summary: 'who enforces each policy, and with --prove what real traffic shows',
  group: 'traffic',
  usage: '[POLICY]',
  takes: [0, 1],
  flags: [
    { name: 'prove', kind: 'boolean', summary: 'send real calls that each policy decides about' },
    { name: 'times', kind: 'number', value: 'N', default: '20', summary: 'calls for each policy' },
    ...NAMESPACE_FLAGS,
    DOCUMENT_FLAG,
  ],
  examples: [
    { line: 'ambient enforced', says: 'the policies of namespace default' },
    { line: 'ambient enforced -A --prove', says: 'all of the lab, each with 20 calls' },
    { line: 'ambient enforced ledger-deny --prove --times 5 -o json', says: 'one, for a script' },
  ],
  exits: ['no', 'nothing', 'unavailable'],
  notes:
    'Exit 0: each is enforced as asked; 1: one is not, or partly. The calls of --prove leave from captures of workloads\nof the lab; those that a policy refuses reach no application, the others are GETs.',
  async run(context) {
    const { enforcedRows, formatEnforced } = await import('../tasks/enforced.ts')
    const rows = await enforcedRows(context)
    const isJson = context.flags.word('output') === 'json'
    const document = { schema: 'ambient.lab/enforced/1', items: rows }
    context.io.answer(isJson ? `${JSON.stringify(document, null, 2)}\n` : formatEnforced(rows))
    return exitCode(rows.every(({ state }) => state === 'ok') ? 'ok' : 'no')
  },
})
