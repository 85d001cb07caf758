import { defineCommand } from '../cli/command.ts'
import { NAMESPACE_FLAG } from '../cli/global-flags.ts'

export default defineCommand({
  name: 'logs',
  summary: 'what a workload, a node’s agent or the control plane wrote',
  group: 'traffic',
  usage: 'WORKLOAD | node/NAME | control-plane | supervisor',
  takes: [1, 1],
  completes: ['pod'],
  flags: [
    { name: 'follow', short: 'f', kind: 'boolean', summary: 'and what it writes from now on, until Ctrl-C' },
    {
      name: 'container',
      short: 'c',
      kind: 'text',
      value: 'NAME',
      summary: 'one container of a pod, such as its istio-proxy',
    },
    { name: 'tail', kind: 'number', value: 'LINES', default: '100', summary: 'how many of the last lines' },
    NAMESPACE_FLAG,
  ],
  examples: [
    { line: 'ambient logs deploy/productpage-v1 -f', says: 'the workload' },
    { line: 'ambient logs node/n2 --tail 20', says: 'the access log of its ztunnel' },
    { line: 'ambient logs control-plane', says: 'also while the API is down' },
  ],
  exits: ['nothing', 'unavailable'],
  async run(context) {
    const { followFile, followPod } = await import('../tasks/logs.ts')
    const [target = ''] = context.args
    const file = await logFileOf()
    return file ? followFile(context, file) : followPod(context, target)

    async function logFileOf(): Promise<string | undefined> {
      const node = /^(?:node|nodes|no)\/(.+)$/.exec(target)?.[1]
      if (node !== undefined) return (await context.lab()).log('node-agent', node)
      if (target === 'control-plane' || target === 'supervisor') return (await context.lab()).log(target, 'main')
      return undefined
    }
  },
})
