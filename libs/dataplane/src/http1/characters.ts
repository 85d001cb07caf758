/** Classes of bytes, as tables: 1 for a member. Latin-1 throughout, one byte is one character. */

const ALPHA_DIGIT = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** RFC 9110 §5.6.2: characters of methods, field names and chunk extensions. */
export const TOKEN = tableOf(`!#$%&'*+-.^_\`|~${ALPHA_DIGIT}`)

/**
 * Visible ASCII: what a request target may have, without the `#` of a fragment. RFC 3986 forbids some more; Envoy and
 * llhttp let them pass.
 */
export const TARGET = tableOfRange(0x21, 0x7e, '#')

/** RFC 9110 §5.5, and reason phrases: visible characters, space, tab, and obs-text, which Envoy and llhttp let pass. */
export const FIELD_VALUE = tableOfRange(0x20, 0xff, '\x7f', '\t')

/** RFC 3986 §3.2: authority without user information. */
export const AUTHORITY = tableOf(`-._~!$&'()*+,;=:[]%${ALPHA_DIGIT}`)

/** RFC 9110 §5.6.4 within quotes, without the quote and the backslash; obs-text and tab left out, as llhttp does. */
export const QUOTED_TEXT = tableOfRange(0x20, 0x7e, '"\\')

/** Values of hexadecimal digits; 255 for anything else. */
export const HEX = new Uint8Array(256).fill(255)
for (let value = 0; value < 16; value += 1) {
  HEX[value.toString(16).charCodeAt(0)] = value
  HEX[value.toString(16).toUpperCase().charCodeAt(0)] = value
}

/** ASCII letters in lower case, everything else itself. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte))

export const TAB = 9
export const LF = 10
export const CR = 13
export const SPACE = 32
export const HASH = 35
export const COLON = 58

/** Whether every character of `text` is of the class. True for an empty text. */
export function consistsOf(table: Uint8Array, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (table[text.charCodeAt(index)] !== 1) return false
  }
  return true
}

function tableOf(members: string): Uint8Array {
  const table = new Uint8Array(256)
  for (const member of members) table[member.charCodeAt(0)] = 1
  return table
}

function tableOfRange(first: number, last: number, without = '', and = ''): Uint8Array {
  const table = tableOf(and)
  for (let byte = first; byte <= last; byte += 1) table[byte] = 1
  for (const member of without) table[member.charCodeAt(0)] = 0
  return table
}
