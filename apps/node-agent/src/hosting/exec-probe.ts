import { type Clock, formatDuration } from '@ambient-lab/std'
import { PROBE_OUTPUT_BYTES_MAX } from '../limits.ts'
import { killGroup, spawnWatched } from './watched-process.ts'

export interface ExecProbeInit {
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs: number
  /** Ends the command: its container goes. */
  readonly signal: AbortSignal
}

/**
 * Runs the command of an `exec` probe to its end. Its words are taken as they stand: no shell, no `$(NAME)`.
 * @returns undefined for exit status 0, else what a kubelet would say: what the command wrote, so far as an event holds it
 */
export function execProbe(
  clock: Clock,
  command: readonly string[],
  { env, timeoutMs, signal }: ExecProbeInit,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawnWatched(command, env)
    let output = Buffer.alloc(0)
    let status: number | null | undefined
    const settle = (failure: string | undefined) => {
      cancel()
      signal.removeEventListener('abort', onGone)
      killGroup(child, 'SIGKILL') // the watcher, and what the command left behind
      for (const pipe of [child.stdin!, child.stdout!, child.stderr!]) pipe.destroy()
      resolve(failure)
    }
    const onGone = () => settle('the container is not running')
    const late = () =>
      settle(`command timed out: ${JSON.stringify(command.join(' '))} timed out after ${formatDuration(timeoutMs)}`)
    const cancel = clock.schedule(timeoutMs, late, { background: true })
    signal.addEventListener('abort', onGone, { once: true })
    for (const pipe of [child.stdout!, child.stderr!]) {
      pipe.on('data', (chunk: Buffer) => {
        const room = PROBE_OUTPUT_BYTES_MAX - output.length
        if (room > 0) output = Buffer.concat([output, chunk.subarray(0, room)])
      })
    }
    child.on('error', (error) => settle(`cannot start: ${error.message}`))
    child.on('exit', (code) => {
      status = code
      killGroup(child, 'SIGKILL') // whoever holds its output open
    })
    child.on('close', () => settle(status === 0 ? undefined : output.toString('utf8').trimEnd()))
    if (signal.aborted) onGone()
  })
}
