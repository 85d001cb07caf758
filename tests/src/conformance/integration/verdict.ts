import { failed, PASSED, type Verdict } from '../judge.ts'
import type { CallOutcome } from './calls.ts'
import type { Expected } from './cases.ts'

/** Whether a call came out as its case wants it. */
export function judgeOutcome(outcome: CallOutcome, expected: Expected): Verdict {
  const wrong = problemOf(outcome, expected)
  return wrong === undefined
    ? PASSED
    : failed(`want ${JSON.stringify(expected)}\ngot  ${JSON.stringify(outcome)}: ${wrong}`)
}

function problemOf(outcome: CallOutcome, expected: Expected): string | undefined {
  if (expected.allowed === false) return isRefusal(outcome, [403, 503]) ? undefined : 'it was not refused'
  if (expected.fails !== undefined) return isRefusal(outcome, [503]) ? undefined : 'it did not fail'
  if (outcome.kind === 'failed') return 'no answer'
  const { status, reply } = outcome
  if (status !== (expected.status ?? 200)) return `status ${status}`
  const { headers = {}, pod = '' } = reply
  const atL7 = 'x-request-id' in headers
  if (expected.processedAtL7 !== undefined && atL7 !== expected.processedAtL7) return `processed at L7: ${atL7}`
  if (expected.answeredBy !== undefined && pod !== expected.answeredBy) return `${pod} answered`
  if (expected.backendVersion !== undefined && !pod.endsWith(`-${expected.backendVersion}`)) return `${pod} answered`
  for (const [name, want] of Object.entries(expected.requestHeadersAtBackend ?? {})) {
    if (String(headers[name.toLowerCase()] ?? '') !== want) return `${name}: ${headers[name.toLowerCase()]}`
  }
  return undefined
}

function isRefusal(outcome: CallOutcome, statuses: readonly number[]): boolean {
  return outcome.kind === 'failed' || statuses.includes(outcome.status)
}
