import { readFileSync } from 'node:fs'

/** The last lines of a log that are not empty; none when the file is gone. `offset` leaves out what is older. */
export function lastLines(path: string, count: number, offset = 0): readonly string[] {
  let text: string
  try {
    text = readFileSync(path).subarray(offset).toString('utf8')
  } catch {
    return [] // removed with its lab
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .slice(-count)
}
