import { type ChildProcess, spawn } from 'node:child_process'

/**
 * How a program dies with its agent, even when the agent was killed with -9 and can do nothing about it: descriptor 3 is
 * a pipe whose only writer is the agent, so its end of file is the agent's death, told by the kernel. A watcher in the
 * program's process group waits for it and then kills the group. The program itself is exec'd, so that its pid, exit
 * code and signals are its own. What leaves the group (setsid) is not reached; no unprivileged means would be.
 */
const WATCHED_EXEC = `
exec 3<&0 </dev/null
(trap '' TERM INT HUP; read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 &
exec "$@" 3<&-
`

/** A program in a process group of its own that does not outlive the agent. Its stdin is the watcher's, not to be written to. */
export function spawnWatched(argv: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn('/bin/sh', ['-c', WATCHED_EXEC, 'sh', ...argv], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env,
  })
  child.stdin!.on('error', () => {}) // nothing is ever written; it breaks when the program ends
  return child
}

/** Signals the program, its watcher, and whatever the program left behind. */
export function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // ESRCH: nobody is left in the group
  }
}
