import { systemClock, unseededRandom } from '@ambient-lab/std'
import { type AgentConfig, formatHelp, parseConfig } from './config.ts'
import { describeFatal, EXIT, exitCodeOf } from './exit-codes.ts'

/** Flags and environment → AgentConfig → Agent → exit code. Stdout carries one line, when the node has joined. */
export async function run(argv: readonly string[]): Promise<void> {
  // Whoever started us may go: its ends of our pipes are nothing that we need.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  // A broken invariant: what the process holds is no longer to be trusted. Child programs end with it.
  process.on('uncaughtException', fail)
  process.on('unhandledRejection', fail)
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(formatHelp())
    return
  }
  try {
    await runAgent(parseConfig(argv, process.env))
  } catch (error) {
    fail(error)
  }
}

async function runAgent(config: AgentConfig): Promise<void> {
  const { Agent } = await import('./agent.ts')
  const end = (exitCode: number) => {
    void agent.stop().then(() => process.exit(exitCode), fail)
  }
  const agent = new Agent(config, {
    clock: systemClock,
    random: unseededRandom(),
    environment: process.env,
    stdin: process.stdin,
    logSink: (line) => process.stderr.write(line),
    onEnd: (reason) => {
      if (reason) process.stderr.write(`${describeFatal(reason)}\n`)
      end(reason ? exitCodeOf(reason) : EXIT.ok)
    },
  })
  onSignal('SIGTERM', EXIT.terminated, end)
  onSignal('SIGINT', EXIT.interrupted, end)
  const ports = await agent.start()
  process.stdout.write(`${JSON.stringify({ ready: true, node: config.node, pid: process.pid, ports })}\n`)
}

/** The first signal drains, the second leaves at once. */
function onSignal(signal: NodeJS.Signals, exitCode: number, end: (exitCode: number) => void): void {
  let asked = false
  process.on(signal, () => {
    if (asked) process.exit(exitCode)
    asked = true
    end(exitCode)
  })
}

function fail(error: unknown): never {
  process.stderr.write(`${describeFatal(error)}\n`)
  process.exit(exitCodeOf(error))
}
