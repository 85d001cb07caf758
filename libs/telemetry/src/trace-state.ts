import { TRACESTATE_MEMBERS_MAX } from './limits.ts'

const KEY = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/
/** Printable, without comma and equals sign, and not ending with a space. */
const VALUE = /^[ -+\--<>-~]{0,255}[!-+\--<>-~]$/

/**
 * What of a `tracestate` goes on to the next hop, the list's empty members left out.
 * @param text all lines of the header, joined by commas
 * @returns undefined: nothing does. A list that is wrong anywhere is wrong as a whole
 * @see https://www.w3.org/TR/trace-context-2/#tracestate-header
 */
export function propagatedTracestate(text: string): string | undefined {
  const members = text
    .split(',')
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((member) => member !== '')
  if (members.length === 0 || members.length > TRACESTATE_MEMBERS_MAX) return undefined
  return members.every(isMember) ? members.join(',') : undefined
}

function isMember(member: string): boolean {
  const equals = member.indexOf('=')
  return equals > 0 && KEY.test(member.slice(0, equals)) && VALUE.test(member.slice(equals + 1))
}
