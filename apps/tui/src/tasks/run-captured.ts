import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Pod } from '@ambient-lab/api'
import { CodedError, errorCode } from '@ambient-lab/std'

/** Proxy settings of the person's own shell, which would lead past the mesh. */
const PROXY_VARIABLES = /^(all|http|https|ftp|no|socks)_proxy$/i

/** What a shell answers for a program that is not there, or cannot be run. */
const EXIT_NOT_FOUND = 127
const EXIT_NOT_EXECUTABLE = 126

/**
 * Runs a program with its connections captured by the pod's listener, in this terminal.
 * @returns its exit code, 128 and the number when a signal ended it
 * @throws CodedError WORKLOAD_NOT_RUNNING when the pod has no capture listener
 */
export function runCaptured(
  pod: Pod,
  init: { program: string; args: readonly string[]; env: Readonly<Record<string, string | undefined>> },
): Promise<number> {
  const { program, args, env } = init
  const child = spawn(program, args, { stdio: 'inherit', env: capturedEnvironment(pod, env) })
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      const notFound = errorCode(error) === 'ENOENT'
      if (!notFound && errorCode(error) !== 'EACCES') return reject(error)
      process.stderr.write(
        `ambient exec: ${program}: ${notFound ? 'command not found on this machine' : 'not executable'}\n`,
      )
      resolve(notFound ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE)
    })
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']))
  })
}

/** Pure. `socks5h`: the name goes to the mesh unresolved. */
export function capturedEnvironment(
  pod: Pod,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const capture = pod.status?.ambientLab?.capture
  if (!capture) {
    throw new CodedError('WORKLOAD_NOT_RUNNING', `${pod.metadata.name} has no capture listener yet`, {
      next: `ambient describe pod/${pod.metadata.name}`,
    })
  }
  const proxy = `socks5h://${capture.host}:${capture.port}`
  const own = Object.entries(env).filter(([name]) => !PROXY_VARIABLES.test(name))
  return { ...Object.fromEntries(own), ALL_PROXY: proxy, all_proxy: proxy, AMBIENT_WORKLOAD: pod.metadata.name }
}
