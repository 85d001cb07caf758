import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from './errors.ts'

/**
 * Makes a folder that only this user enters, and those above it that are missing. Node's own `recursive` tries for ever
 * where a folder is there and takes none, as /proc, which answers ENOENT.
 * @throws what the system says of the first folder that cannot be made
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (isFolder(path)) return
    const parent = dirname(path)
    if (errorCode(error) !== 'ENOENT' || parent === path || isFolder(parent)) throw error
    makeFolder(parent)
    makeFolder(path)
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
