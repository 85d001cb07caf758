import { defineCommand } from '../cli/command.ts'
import { NAMESPACE_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

export default defineCommand({
  name: 'exec',
  summary: 'run a real program of this machine as if it were inside a workload',
  group: 'traffic',
  usage: 'WORKLOAD -- PROGRAM [ARGS]',
  takes: [1, 1],
  takesRest: true,
  completes: ['pod'],
  flags: [NAMESPACE_FLAG],
  examples: [
    {
      line: 'ambient exec deploy/curl -- curl -s http://productpage:9080/productpage',
      says: 'a request through the mesh',
    },
    {
      line: 'ambient exec pod/curl-6b7f8c9d5-x7k2p -- curl -v telnet://tcp-echo:9000',
      says: 'plain TCP, from one certain pod',
    },
    { line: 'ambient exec svc/reviews -- sh', says: 'a shell whose programs’ connections are captured' },
  ],
  exits: ['nothing', 'unavailable'],
  notes:
    'Connections of programs that honour ALL_PROXY (curl, git, most HTTP libraries) leave from the workload’s capture\nlistener, with its identity; names are resolved by the mesh. The exit code is the program’s own.',
  async run(context) {
    const [program, ...args] = context.rest
    if (program === undefined)
      throw usageError('exec needs a program', `ambient exec ${context.args[0]} -- curl http://…`)
    const [{ readyPodOf }, { runCaptured }] = await Promise.all([
      import('../tasks/pods.ts'),
      import('../tasks/run-captured.ts'),
    ])
    const pod = await readyPodOf(await context.api(), context.flags.word('namespace'), context.args[0]!, context.signal)
    return runCaptured(pod, { program, args, env: context.env })
  },
})
