import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DOCUMENT_FLAG, NAMESPACE_FLAGS } from '../cli/global-flags.ts'

export default defineCommand({
  name: 'analyze',
  summary: 'what is wrong with the configuration of the lab, of files, or of files as they would be in the lab',
  group: 'resources',
  flags: [
    { name: 'filename', short: 'f', kind: 'list', value: 'FILE|DIR|-', summary: 'YAML or JSON; may be repeated' },
    {
      name: 'use-lab',
      kind: 'boolean',
      summary: 'what the lab holds counts too; =false: the files alone, without a lab',
    },
    {
      name: 'failure-threshold',
      kind: 'text',
      value: 'LEVEL',
      choices: ['Info', 'Warning', 'Error'],
      default: 'Error',
      summary: 'the least level that makes the exit 1',
    },
    {
      name: 'suppress',
      short: 'S',
      kind: 'list',
      value: 'CODE=KIND NAME.NS',
      summary: 'say nothing of this code about this object; * stands for anything; may be repeated',
    },
    ...NAMESPACE_FLAGS,
    DOCUMENT_FLAG,
  ],
  examples: [
    { line: 'ambient analyze -A', says: 'all of the lab' },
    { line: 'ambient analyze -f policies/', says: 'files, as if they were applied: what is found about their objects' },
    { line: 'ambient analyze -f shop.yaml --use-lab=false -o json', says: 'the file alone; needs no lab' },
    { line: 'ambient analyze -A -S "AM0101=Deployment *.legacy"', says: 'without what is known already' },
  ],
  exits: ['no', 'nothing', 'data', 'no input', 'unavailable'],
  notes:
    'Codes: AM0000 are the lab’s own, IST0000 istioctl’s with its words; ambient explain CODE tells more. Exit 1: something\nis at or above the threshold. With -f the findings are those about objects of the files, unless -n or -A names more.',
  async run(context) {
    const { analyzeAll, formatReport, isFailed } = await import('../tasks/analyze.ts')
    const report = await analyzeAll(context)
    const isJson = context.flags.word('output') === 'json'
    const document = { schema: 'ambient.lab/analyze/1', items: report }
    context.io.answer(isJson ? `${JSON.stringify(document, null, 2)}\n` : formatReport(report))
    return exitCode(isFailed(report, context.flags.word('failure-threshold')) ? 'no' : 'ok')
  },
})
