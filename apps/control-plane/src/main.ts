import { parseConfig, usage } from './config.ts'
import { startControlPlane } from './control-plane.ts'
import { describeFatal, EXIT, exitCodeOf } from './exit-codes.ts'

async function main(): Promise<void> {
  const argv = process.argv.slice(2)
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(usage())
    return
  }
  const controlPlane = await startControlPlane(parseConfig(argv, process.env))
  process.stdout.write(`${JSON.stringify({ ready: true, api: controlPlane.api, pid: process.pid })}\n`)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  process.exitCode = EXIT.ok
  await controlPlane[Symbol.asyncDispose]()
}

function fail(error: unknown): never {
  process.stderr.write(describeFatal(error))
  process.exit(exitCodeOf(error))
}

// A log that cannot be written, on a full disk or to a reader that left, is no reason to stop serving.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
// A bug ends the process: its supervisor starts it again from what is on disk.
process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)
main().then(() => process.exit(), fail)
