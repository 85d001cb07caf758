import { CodedError, errorCode } from '@ambient-lab/std'

/** Every exit code there is: the one table. README.md has it for people; a test compares the two. */
export const EXIT_CODES = {
  ok: { code: 0, means: 'done, or the answer is yes' },
  no: { code: 1, means: 'the answer is no: denied, finding, difference, failed check, threshold crossed' },
  nothing: { code: 2, means: 'nothing to test, no match, object missing' },
  usage: { code: 64, means: 'wrong flag or argument; suggestion printed' },
  data: { code: 65, means: 'input does not parse or breaks its schema' },
  'no input': { code: 66, means: 'file or folder missing' },
  unavailable: { code: 69, means: 'lab, control plane or workload not reachable' },
  internal: { code: 70, means: 'bug; path of the support file printed' },
  'cannot create': { code: 73, means: 'port, name or folder taken; owner named' },
  'I/O': { code: 74, means: 'disk or pipe; a reader that leaves early is not an error (0)' },
  'try later': { code: 75, means: 'time-out of --wait, machine busy, rate not kept' },
  protocol: { code: 76, means: 'other side runs another version' },
  permission: { code: 77, means: 'token, role, read-only' },
  config: { code: 78, means: 'user or project configuration wrong' },
  interrupted: { code: 130, means: 'Ctrl-C, after healing own faults' },
  terminated: { code: 143, means: 'TERM, after healing own faults' },
} as const

export type ExitName = keyof typeof EXIT_CODES

export function exitCode(name: ExitName): number {
  return EXIT_CODES[name].code
}

/** What each coded error of ours ends a command with. Codes that are not here are bugs in this table: internal. */
const EXIT_BY_ERROR: Readonly<Record<string, ExitName>> = {
  READER_GONE: 'ok',
  USAGE: 'usage',
  LAB_NAME_INVALID: 'usage',
  LAB_AMBIGUOUS: 'usage',
  SELECTOR_SYNTAX: 'usage',
  MANIFEST_SYNTAX: 'data',
  MANIFEST_INVALID: 'data',
  MANIFEST_TOO_LARGE: 'data',
  LAB_FILE_INVALID: 'data',
  INVALID: 'data',
  BAD_REQUEST: 'data',
  NO_INPUT: 'no input',
  ENOENT: 'no input',
  NOT_FOUND: 'nothing',
  PROCESS_UNKNOWN: 'nothing',
  UNAVAILABLE: 'unavailable',
  LAB_NOT_RUNNING: 'unavailable',
  WORKLOAD_NOT_RUNNING: 'unavailable',
  START_FAILED: 'unavailable',
  STOP_FAILED: 'internal',
  LAB_LOCKED: 'cannot create',
  ALREADY_EXISTS: 'cannot create',
  EADDRINUSE: 'cannot create',
  ENOTDIR: 'cannot create',
  EEXIST: 'cannot create',
  ENAMETOOLONG: 'cannot create',
  TIMEOUT: 'try later',
  SHUTTING_DOWN: 'try later',
  CONFLICT: 'try later',
  GONE: 'try later',
  API_PROTOCOL: 'protocol',
  SUPERVISOR_PROTOCOL: 'protocol',
  VERSION_MISMATCH: 'protocol',
  UNAUTHORIZED: 'permission',
  FORBIDDEN: 'permission',
  METHOD_NOT_ALLOWED: 'permission',
  EACCES: 'permission',
  EPERM: 'permission',
  KUBECONFIG_INVALID: 'config',
  API_ERROR: 'internal',
  ANSWER_LOST: 'I/O',
  DISK_FULL: 'I/O',
  STORAGE_FAILED: 'I/O',
  LOCK_FAILED: 'I/O',
  ENOSPC: 'I/O',
  EDQUOT: 'I/O',
  EIO: 'I/O',
  EROFS: 'I/O',
  EPIPE: 'ok',
  INTERRUPTED: 'interrupted',
  TERMINATED: 'terminated',
}

/** The exit code of anything thrown. A program that did not start passes its own on when it is one of the table. */
export function exitCodeOf(error: unknown): number {
  if (CodedError.is(error, 'START_FAILED') && 'exitCode' in error && isExitCode(error.exitCode)) return error.exitCode
  return exitCode(EXIT_BY_ERROR[errorCode(error) ?? ''] ?? 'internal')
}

function isExitCode(code: unknown): code is number {
  return Object.values(EXIT_CODES).some((entry) => entry.code === code && entry.code > 2)
}
