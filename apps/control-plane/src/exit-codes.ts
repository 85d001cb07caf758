import { CodedError, errorCode } from '@ambient-lab/std'

/** The codes of sysexits.h, as the whole lab uses them. */
export const EXIT = {
  ok: 0,
  usage: 64,
  internal: 70,
  cannotCreate: 73,
  io: 74,
} as const

const BY_CODE: Readonly<Record<string, number>> = {
  USAGE: EXIT.usage,
  PORT_TAKEN: EXIT.cannotCreate,
  LISTEN_FAILED: EXIT.cannotCreate,
  STORE_IN_USE: EXIT.cannotCreate,
  EACCES: EXIT.cannotCreate,
  EROFS: EXIT.cannotCreate,
  ENOTDIR: EXIT.cannotCreate,
  EEXIST: EXIT.cannotCreate,
  STORE_OPEN_FAILED: EXIT.io,
  STORE_CORRUPT: EXIT.io,
  STORE_VERSION: EXIT.io,
  STORE_WRITE_FAILED: EXIT.io,
  CA_UNREADABLE: EXIT.io,
  ENOSPC: EXIT.io,
  EDQUOT: EXIT.io,
}

/** The exit code that an error at the start deserves. */
export function exitCodeOf(error: unknown): number {
  return BY_CODE[errorCode(error) ?? ''] ?? EXIT.internal
}

const NEXT: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space on that disk, then start again: nothing was lost',
  EDQUOT: 'free some space of your quota, then start again: nothing was lost',
  EACCES: 'make the folder yours (chown), or choose another with --state-dir',
  ENOTDIR: 'choose another folder with --state-dir',
  EEXIST: 'choose another folder with --state-dir',
  EROFS: 'choose a folder that can be written with --state-dir',
}

/** What and what next, one line each; a bug shows its stack. */
export function describeFatal(error: unknown): string {
  const next = CodedError.is(error) ? error.next : NEXT[errorCode(error) ?? '']
  const message = error instanceof Error ? error.message : String(error)
  const isBug = error instanceof Error && errorCode(error) === undefined
  const lines = [`error: ${isBug ? (error.stack ?? message) : message}`, ...(next ? [`  next: ${next}`] : [])]
  return `${lines.join('\n')}\n`
}
