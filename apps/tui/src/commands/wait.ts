import { CodedError } from '@ambient-lab/std'
import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { NAMESPACE_FLAG, SELECTOR_FLAG, TIMEOUT_FLAG } from '../cli/global-flags.ts'

export default defineCommand({
  name: 'wait',
  summary: 'until a condition holds of an object',
  group: 'resources',
  usage: 'TYPE/NAME | TYPE -l EXPR',
  takes: [1, 2],
  completes: ['object'],
  flags: [
    {
      name: 'for',
      kind: 'text',
      value: 'CONDITION',
      default: 'condition=Ready',
      summary: 'condition=NAME[=False], delete, or jsonpath=PATH=VALUE',
    },
    {
      name: 'all',
      kind: 'boolean',
      summary: 'every object of the type; the default where none is named',
      group: 'selection',
    },
    TIMEOUT_FLAG,
    NAMESPACE_FLAG,
    SELECTOR_FLAG,
  ],
  examples: [
    { line: 'ambient wait node/n1 --for condition=Ready', says: 'an agent joined' },
    { line: 'ambient wait fault/f-1 --for delete --timeout 5m', says: 'a fault healed' },
    { line: "ambient wait load/l-1 --for jsonpath='{.status.phase}'=Finished", says: 'a field has a value' },
  ],
  exits: ['nothing', 'unavailable', 'try later'],
  async run(context) {
    const [{ parseSelections, resourceType }, { waitUntil }, { parseCondition }] = await Promise.all([
      import('../tasks/kinds.ts'),
      import('../tasks/wait-until.ts'),
      import('../tasks/condition.ts'),
    ])
    const { flags, io, args, clock, signal } = context
    const [selection] = parseSelections(args)
    const { definition, names } = selection!
    const condition = parseCondition(flags.word('for'))
    const namespace = definition.scope === 'Cluster' ? undefined : flags.word('namespace')
    const [name] = names
    const label = `${definition.kind.toLowerCase()}${name === undefined ? 's' : `/${name}`}`
    const client = await context.api()
    const type = resourceType(definition)
    if (name !== undefined && !condition.gone) await client.get(type, { name, namespace, signal })
    await waitUntil(client, type, {
      options: {
        namespace,
        labelSelector: flags.text('selector'),
        fieldSelector: name === undefined ? undefined : `metadata.name=${name}`,
      },
      done: (objects) =>
        condition.gone ? objects.size === 0 : objects.size > 0 && [...objects.values()].every(condition.holds),
      describe: () =>
        new CodedError('TIMEOUT', `${label}: ${flags.word('for')} does not hold`, {
          next: `ambient describe ${label}`,
        }),
      timeoutMs: flags.durationMs('timeout') ?? 0,
      clock,
      signal,
    })
    io.answer(`${label} ${condition.gone ? 'is gone' : 'condition met'}\n`)
    return exitCode('ok')
  },
})
