import { isHopByHop } from '../http1/hop-by-hop.ts'

/** What a field is to the message that it is in; anything but NORMAL is looked at. */
export const FIELD_KIND = {
  NORMAL: 0,
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 3,
  PATH: 4,
  STATUS: 5,
  HOST: 6,
  CONTENT_LENGTH: 7,
  TE: 8,
  COOKIE: 9,
  EXPECT: 10,
  /** No field of HTTP/2: a name or value with what cannot be there, a field of connections, an unknown pseudo field. */
  MALFORMED: 11,
} as const

const KINDS: ReadonlyMap<string, number> = new Map([
  [':method', FIELD_KIND.METHOD],
  [':scheme', FIELD_KIND.SCHEME],
  [':authority', FIELD_KIND.AUTHORITY],
  [':path', FIELD_KIND.PATH],
  [':status', FIELD_KIND.STATUS],
  ['host', FIELD_KIND.HOST],
  ['content-length', FIELD_KIND.CONTENT_LENGTH],
  ['te', FIELD_KIND.TE],
  ['cookie', FIELD_KIND.COOKIE],
  ['expect', FIELD_KIND.EXPECT],
])

/** @param name of a token's characters in lower case, perhaps behind a colon */
export function fieldKindOf(name: string): number {
  const known = KINDS.get(name)
  if (known !== undefined) return known
  return name.startsWith(':') || isHopByHop(name) ? FIELD_KIND.MALFORMED : FIELD_KIND.NORMAL
}
