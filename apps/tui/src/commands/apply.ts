import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DOCUMENT_FLAG, DRY_RUN_FLAG, NAMESPACE_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

export default defineCommand({
  name: 'apply',
  summary: 'make the lab hold what files say: all of it, or nothing',
  group: 'resources',
  flags: [
    { name: 'filename', short: 'f', kind: 'list', value: 'FILE|DIR|-', summary: 'YAML or JSON; may be repeated' },
    DRY_RUN_FLAG,
    NAMESPACE_FLAG,
    DOCUMENT_FLAG,
  ],
  examples: [
    { line: 'ambient apply -f policy.yaml', says: 'one file' },
    { line: 'ambient apply -f policies/ -f routes.yaml', says: 'a folder and a file, as one' },
    { line: 'ambient apply -f - --dry-run', says: 'standard input; the server judges and stores nothing' },
  ],
  exits: ['data', 'no input', 'unavailable', 'permission'],
  notes:
    'Everything is read and validated before the first write. If the server refuses one object after that, what was\nwritten is put back as it was.',
  async run(context) {
    const { flags, io, signal } = context
    const files = flags.list('filename')
    if (files.length === 0) throw usageError('apply needs -f', 'ambient apply -f FILE')
    const [{ applyAll, readManifests }, { qualifiedName, singularOf }] = await Promise.all([
      import('@ambient-lab/lab'),
      import('@ambient-lab/api'),
    ])
    const { resources, warnings } = await readManifests(files, {
      defaultNamespace: flags.word('namespace'),
      readStdin: io.readStdin,
    })
    for (const warning of warnings) io.warn(warning)
    const dryRun = flags.boolean('dry-run')
    const applied = await applyAll(await context.api(), resources, { dryRun, signal })
    const rows = applied.map(({ item, object, outcome }) => {
      const { definition } = item as (typeof resources)[number]
      const type = definition.group === '' ? singularOf(definition) : `${singularOf(definition)}.${definition.group}`
      return { type, resource: qualifiedName(definition), ...object.metadata, outcome }
    })
    if (flags.word('output') === 'json') {
      const items = rows.map(({ resource, name, namespace = null, outcome }) => ({
        resource,
        name,
        namespace,
        outcome,
      }))
      io.answer(`${JSON.stringify({ schema: 'ambient.lab/apply/1', dry_run: dryRun, items }, null, 2)}\n`)
    } else {
      for (const { type, name, outcome } of rows) io.answer(`${type}/${name} ${outcome}${dryRun ? ' (dry run)' : ''}\n`)
    }
    if (rows.length === 0) io.talk('nothing to apply')
    return exitCode('ok')
  },
})
