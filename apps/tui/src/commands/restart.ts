import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { NAMESPACE_FLAG, TIMEOUT_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

export default defineCommand({
  name: 'restart',
  summary: 'restart a node’s agent, the control plane, or a deployment’s pods',
  group: 'lab',
  usage: 'node/NAME | control-plane | deploy/NAME',
  takes: [1, 1],
  completes: ['object'],
  flags: [
    { name: 'wait', kind: 'boolean', summary: 'until a deployment’s new pods are ready' },
    TIMEOUT_FLAG,
    NAMESPACE_FLAG,
  ],
  examples: [
    { line: 'ambient restart node/n1', says: 'the agent, also one that was killed' },
    { line: 'ambient restart control-plane', says: 'it keeps its port; traffic goes on meanwhile' },
    { line: 'ambient restart deploy/reviews-v1 --wait', says: 'new pods' },
  ],
  exits: ['nothing', 'unavailable', 'try later'],
  async run(context) {
    const { io, args, flags } = context
    const [target = ''] = args
    const node = /^(?:node|nodes|no)\/(.+)$/.exec(target)?.[1]
    if (node !== undefined || target === 'control-plane') {
      const { restartProcess } = await import('@ambient-lab/lab')
      const role = node === undefined ? 'control-plane' : 'node-agent'
      const processes = await restartProcess(await context.lab(), { role, name: node ?? 'main' })
      const restarted = processes.find((entry) => entry.role === role && (node === undefined || entry.name === node))
      io.answer(`${target} restarted, pid ${restarted?.pid ?? '-'}\n`)
      return exitCode('ok')
    }
    const name = /^(?:deploy|deployment|deployments)\/(.+)$/.exec(target)?.[1]
    if (name === undefined)
      throw usageError(`"${target}" cannot be restarted`, 'node/NAME, control-plane or deploy/NAME')
    const { restartDeployment, waitForDeployment } = await import('../tasks/rollout.ts')
    const client = await context.api()
    const deployment = { name, namespace: flags.word('namespace') }
    await restartDeployment(context, client, deployment)
    if (flags.boolean('wait')) await waitForDeployment(context, client, deployment)
    io.answer(`${target} restarted\n`)
    return exitCode('ok')
  },
})
