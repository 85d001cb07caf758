import { CodedError } from '@ambient-lab/std'
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

process.exitCode = await run({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  commands: catalog,
  signal: interruption.signal,
  readerGone: () => interruption.abort(new CodedError('READER_GONE', 'nobody reads the answer any more')),
})
