import { CodedError } from '@ambient-lab/std'
import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DRY_RUN_FLAG, NAMESPACE_FLAG, SELECTOR_FLAG, TIMEOUT_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

export default defineCommand({
  name: 'delete',
  summary: 'delete objects; a deleted fault is healed, a deleted node’s agent is stopped',
  group: 'resources',
  usage: 'TYPE/NAME… | TYPE NAME… | TYPE -l EXPR | -f FILE',
  takes: [0, 100],
  completes: ['object', 'object'],
  flags: [
    { name: 'filename', short: 'f', kind: 'list', value: 'FILE|DIR|-', summary: 'the objects that files name' },
    { name: 'all', kind: 'boolean', summary: 'every object of the type in the namespace' },
    { name: 'ignore-not-found', kind: 'boolean', summary: 'a missing object is no error' },
    { name: 'wait', kind: 'boolean', summary: 'until they are gone' },
    TIMEOUT_FLAG,
    DRY_RUN_FLAG,
    NAMESPACE_FLAG,
    SELECTOR_FLAG,
  ],
  examples: [
    { line: 'ambient delete ap/deny-all', says: 'one policy' },
    { line: 'ambient delete faults --all', says: 'heal everything' },
    { line: 'ambient delete -f policies/ --ignore-not-found', says: 'what these files name' },
  ],
  exits: ['nothing', 'data', 'no input', 'unavailable', 'try later', 'permission'],
  async run(context) {
    const { deletionsOf, waitUntilGone } = await import('../tasks/deletions.ts')
    const { flags, io, args, signal } = context
    if (args.length === 0 && flags.list('filename').length === 0)
      throw usageError('delete needs objects', 'ambient delete TYPE/NAME')
    const client = await context.api()
    const deletions = await deletionsOf(context, client)
    if (deletions.length === 0) io.talk('no objects found')
    for (const { type, label, name, namespace } of deletions) {
      try {
        await client.delete(type, { name, namespace }, { dryRun: flags.boolean('dry-run'), signal })
        io.answer(`${label}/${name} deleted${flags.boolean('dry-run') ? ' (dry run)' : ''}\n`)
      } catch (error) {
        if (!CodedError.is(error, 'NOT_FOUND') || !flags.boolean('ignore-not-found')) throw error
      }
    }
    if (flags.boolean('wait') && !flags.boolean('dry-run')) await waitUntilGone(context, client, deletions)
    return exitCode('ok')
  },
})
