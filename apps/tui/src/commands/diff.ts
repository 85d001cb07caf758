import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DOCUMENT_FLAG, NAMESPACE_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

export default defineCommand({
  name: 'diff',
  summary: 'what apply would change: in YAML, and in verdicts on recent traffic',
  group: 'resources',
  flags: [
    { name: 'filename', short: 'f', kind: 'list', value: 'FILE|DIR|-', summary: 'YAML or JSON; may be repeated' },
    {
      name: 'since',
      kind: 'duration',
      value: 'DURATION',
      default: '5m',
      summary: 'decisions of the last so long are taken again',
    },
    NAMESPACE_FLAG,
    DOCUMENT_FLAG,
  ],
  examples: [
    { line: 'ambient diff -f policy.yaml', says: 'before it is applied' },
    { line: 'ambient diff -f policies/ --since 30s', says: 'a folder, on the last half minute of traffic' },
    { line: 'ambient diff -f - -o json', says: 'standard input; each flip with caller, destination and reason' },
  ],
  exits: ['no', 'data', 'no input', 'unavailable', 'permission'],
  notes:
    'Nothing is stored and nothing takes effect. Each proxy keeps its decisions of the last minutes and takes them again\nwith the functions that made them. Exit 1: there is a difference.',
  async run(context) {
    const { flags, io, signal } = context
    const files = flags.list('filename')
    if (files.length === 0) throw usageError('diff needs -f', 'ambient diff -f FILE')
    const [{ readManifests }, { diffAll, formatDifference }] = await Promise.all([
      import('@ambient-lab/lab'),
      import('../tasks/diff.ts'),
    ])
    const { resources, warnings } = await readManifests(files, {
      defaultNamespace: flags.word('namespace'),
      readStdin: io.readStdin,
    })
    for (const warning of warnings) io.warn(warning)
    const sinceMs = flags.durationMs('since') ?? 0
    const difference = await diffAll(await context.api(), resources, { sinceMs, signal })
    const isJson = flags.word('output') === 'json'
    const document = { schema: 'ambient.lab/diff/1', ...difference }
    io.answer(isJson ? `${JSON.stringify(document, null, 2)}\n` : formatDifference(difference, sinceMs))
    return exitCode(difference.objects.length > 0 ? 'no' : 'ok')
  },
})
