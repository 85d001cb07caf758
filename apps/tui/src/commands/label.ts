import { CodedError } from '@ambient-lab/std'
import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DRY_RUN_FLAG, NAMESPACE_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

export default defineCommand({
  name: 'label',
  summary: 'set or remove labels of an object',
  group: 'resources',
  usage: 'TYPE/NAME KEY=VALUE… KEY-…',
  takes: [2, 100],
  completes: ['object'],
  flags: [
    { name: 'overwrite', kind: 'boolean', summary: 'change a label that has another value' },
    DRY_RUN_FLAG,
    NAMESPACE_FLAG,
  ],
  examples: [
    { line: 'ambient label ns/default istio.io/dataplane-mode=ambient', says: 'enrol a namespace into the mesh' },
    { line: 'ambient label ns/default istio.io/dataplane-mode-', says: 'and take it out again' },
    { line: 'ambient label deploy/reviews-v1 tier=web --overwrite', says: 'change a value' },
  ],
  exits: ['no', 'nothing', 'unavailable', 'permission'],
  async run(context) {
    const { parseOne, resourceType } = await import('../tasks/kinds.ts')
    const { args, flags, io, signal } = context
    const slashed = args[0]!.includes('/')
    const { definition, name } = parseOne(slashed ? args.slice(0, 1) : args)
    const changes = parseLabels(args.slice(slashed ? 1 : 2))
    const namespace = definition.scope === 'Cluster' ? undefined : flags.word('namespace')
    const client = await context.api()
    const { metadata } = await client.get(resourceType(definition), { name, namespace, signal })
    const clash = Object.entries(changes).find(
      ([key, value]) => value !== null && ![undefined, value].includes(metadata.labels?.[key]),
    )
    if (clash && !flags.boolean('overwrite')) {
      throw new CodedError('ALREADY_EXISTS', `label ${clash[0]} is "${metadata.labels?.[clash[0]]}" already`, {
        next: `the same with --overwrite`,
      })
    }
    const patch = { metadata: { labels: changes } }
    await client.mergePatch(resourceType(definition), { name, namespace }, patch, {
      dryRun: flags.boolean('dry-run'),
      signal,
    })
    io.answer(`${definition.kind.toLowerCase()}/${name} labelled\n`)
    return exitCode('ok')
  },
})

/** `a=b` sets, `a-` removes. @throws CodedError USAGE */
export function parseLabels(words: readonly string[]): Readonly<Record<string, string | null>> {
  if (words.length === 0) throw usageError('label needs labels', 'KEY=VALUE, or KEY- to remove')
  const changes = words.map((word): [string, string | null] => {
    if (/^[^=]+-$/.test(word)) return [word.slice(0, -1), null]
    const equals = word.indexOf('=')
    if (equals < 1) throw usageError(`"${word}" is no label`, 'KEY=VALUE, or KEY- to remove')
    return [word.slice(0, equals), word.slice(equals + 1)]
  })
  return Object.fromEntries(changes)
}
