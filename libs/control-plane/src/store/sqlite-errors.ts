import { CodedError, errorMessage } from '@ambient-lab/std'

/** SQLite's primary result codes. @see https://www.sqlite.org/rescode.html */
const BUSY = 5
const LOCKED = 6
const CORRUPT = 11
const FULL = 13
const NOT_A_DATABASE = 26

/** The low byte is the primary code, the rest tells variants apart. */
function primaryCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined
}

/** @param ownerPid who has it open, when known */
export function storeOpenError(error: unknown, path: string, ownerPid: number | undefined): CodedError {
  if (error instanceof CodedError) return error.at(path)
  const code = primaryCode(error)
  if (code === BUSY || code === LOCKED) {
    const owner = ownerPid === undefined ? 'another process' : `process ${ownerPid}`
    return new CodedError('STORE_IN_USE', `${path} is in use by ${owner}`, {
      where: path,
      retry: 'yes',
      cause: error,
      next: ownerPid === undefined ? 'stop that process, or choose another lab' : `stop it first: kill ${ownerPid}`,
    })
  }
  if (code === CORRUPT || code === NOT_A_DATABASE) return storeUnreadable(error, path)
  return new CodedError('STORE_OPEN_FAILED', `cannot open ${path}: ${errorMessage(error)}`, {
    where: path,
    cause: error,
    next: 'check that the folder exists, is yours and has free space',
  })
}

export function storeUnreadable(error: unknown, path: string): CodedError {
  return new CodedError('STORE_CORRUPT', `${path} is damaged: ${errorMessage(error)}`, {
    where: path,
    cause: error,
    next: `keep it for a look and start empty: mv ${path} ${path}.damaged`,
  })
}

export function schemaTooNew(found: number, known: number): CodedError {
  return new CodedError('STORE_VERSION', `written by a newer version (format ${found}, this one knows ${known})`, {
    next: 'run the version that wrote it, or start with another lab',
  })
}

export function storeWriteError(error: unknown, path: string): CodedError {
  const full = primaryCode(error) === FULL
  return new CodedError('STORE_WRITE_FAILED', `cannot write ${path}: ${full ? 'no space left' : errorMessage(error)}`, {
    where: path,
    retry: 'yes',
    cause: error,
    next: full ? 'free some disk space or delete objects; nothing was lost' : 'check the disk; nothing was lost',
  })
}
