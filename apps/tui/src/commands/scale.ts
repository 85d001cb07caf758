import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { NAMESPACE_FLAG, TIMEOUT_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

export default defineCommand({
  name: 'scale',
  summary: 'set how many pods a deployment has',
  group: 'resources',
  usage: 'deploy/NAME',
  takes: [1, 2],
  completes: ['object'],
  flags: [
    { name: 'replicas', kind: 'number', value: 'N', summary: 'how many' },
    { name: 'wait', kind: 'boolean', summary: 'until they are ready' },
    TIMEOUT_FLAG,
    NAMESPACE_FLAG,
  ],
  examples: [
    { line: 'ambient scale deploy/reviews-v1 --replicas 3', says: 'three' },
    { line: 'ambient scale deploy/reviews-v1 --replicas 0', says: 'none: its service has no endpoint' },
    { line: 'ambient scale deploy/curl --replicas 2 --wait', says: 'and wait' },
  ],
  exits: ['nothing', 'data', 'unavailable', 'try later', 'permission'],
  async run(context) {
    const [{ parseOne, resourceType }, { waitForDeployment }] = await Promise.all([
      import('../tasks/kinds.ts'),
      import('../tasks/rollout.ts'),
    ])
    const { flags, io, args, signal } = context
    const { definition, name } = parseOne(args)
    const replicas = flags.number('replicas')
    if (replicas === undefined || !Number.isInteger(replicas) || replicas < 0) {
      throw usageError('scale needs --replicas', `ambient scale ${args.join(' ')} --replicas 3`)
    }
    const namespace = flags.word('namespace')
    const client = await context.api()
    const target = { name, namespace, subresource: 'scale' }
    await client.mergePatch(resourceType(definition), target, { spec: { replicas } }, { signal })
    if (flags.boolean('wait')) await waitForDeployment(context, client, { name, namespace })
    io.answer(`${definition.kind.toLowerCase()}/${name} scaled to ${replicas}\n`)
    return exitCode('ok')
  },
})
