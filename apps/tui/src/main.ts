import { CodedError } from '@ambient-lab/std'
import { errorText } from './cli/error-text.ts'
import { exitCodeOf } from './cli/exit-codes.ts'
import { run } from './cli/run.ts'
import catalog from './commands/_catalog.ts'

/** Ctrl-C asks the command to end, which may heal and print; a second one leaves at once. */
const interruption = new AbortController()
for (const [signal, code, exit] of [
  ['SIGINT', 'INTERRUPTED', 130],
  ['SIGTERM', 'TERMINATED', 143],
  // A terminal that is closed ends what runs in it. Under nohup there is none, and the signal stays ignored.
  ...(process.stdout.isTTY ? ([['SIGHUP', 'TERMINATED', 143]] as const) : []),
] as const) {
  process.on(signal, () => {
    if (interruption.signal.aborted) process.exit(exit)
    interruption.abort(new CodedError(code, signal))
  })
}

/** May come after the command is through: what it wrote last is still on its way. */
function answerLost(why: CodedError): void {
  if (interruption.signal.aborted) return
  process.exitCode = exitCodeOf(why)
  if (process.exitCode !== 0) process.stderr.write(`${errorText(why)}\n`)
  interruption.abort(why)
}

const code = await run({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  commands: catalog,
  signal: interruption.signal,
  answerLost,
})
process.exitCode ??= code
