import type { JwtAccepted } from '@ambient-lab/policy'
import type { HeaderMap } from '../http1/index.ts'

/** What a filter did to header lines, so that they can be had as they were. */
export interface HeaderChange {
  readonly removed: readonly (readonly [name: string, value: string])[]
  /** Names; lines of these that were there before are among the removed. */
  readonly added: readonly string[]
}

/** Takes the token out and puts its claims in, as its provider wants it. @returns undefined when nothing changed */
export function applyToken(
  headers: HeaderMap,
  { removeHeaders, addHeaders }: Pick<JwtAccepted, 'removeHeaders' | 'addHeaders'>,
): HeaderChange | undefined {
  const removed: (readonly [string, string])[] = []
  for (const name of removeHeaders) {
    const value = headers.getJoined(name)
    if (value === undefined) continue
    removed.push([name, value])
    headers.delete(name)
  }
  for (const [name, value] of addHeaders) headers.append(name, value)
  if (removed.length + addHeaders.length === 0) return undefined
  return { removed, added: addHeaders.map(([name]) => name) }
}

/** The lines as they were before. */
export function undoHeaders(headers: HeaderMap, { removed, added }: HeaderChange): void {
  for (const name of added) headers.delete(name)
  for (const [name, value] of removed) headers.append(name, value)
}
