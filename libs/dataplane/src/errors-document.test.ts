import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { DATAPLANE_ERRORS, type DataplaneErrorCode } from './errors.ts'
import { HTTP_FLAGS, LOCAL_REPLIES, type LocalReply, RESETS } from './waypoint/local-replies.ts'
import { OUTCOMES } from './ztunnel/response-flags.ts'

/** `docs/ERRORS.md` is for people; what it says is what the tables say. */
const document = readFileSync(new URL('../../../docs/ERRORS.md', import.meta.url), 'utf8')

function rowsOf(heading: string): string[] {
  const section = document.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('| `'))
  return lines.map((line) => line.replace(/ +/g, ' ')) // the formatter pads columns
}

it('has a line for each code of a connection', () => {
  const wanted = (Object.keys(OUTCOMES) as DataplaneErrorCode[]).map((code) => {
    const { flag, connectStatus, hint } = OUTCOMES[code]
    return `| \`${code}\` | ${DATAPLANE_ERRORS[code]} | \`${flag}\` | ${connectStatus} | ${hint} |`
  })
  expect(rowsOf('Connections')).toEqual(wanted)
})

it('has a line for each answer that a waypoint gives by itself', () => {
  const wanted = Object.values(LOCAL_REPLIES).map(({ status, flag, details, body, hint }: LocalReply) => {
    const text = body === '' ? 'empty' : `\`${body}\``
    return `| \`${details}\` | ${status} | \`${flag ?? '-'}\` | ${text} | ${hint} |`
  })
  expect(rowsOf('Requests')).toEqual(wanted)
})

it('has a line for each way in which a try is cut', () => {
  const wanted = Object.entries(RESETS).map(
    ([reason, { status, flag }]) => `| \`${reason}\` | ${status} | \`${flag}\` |`,
  )
  expect(rowsOf('Tries')).toEqual(wanted)
})

it('has a line for each flag of a request', () => {
  expect(rowsOf('Flags')).toEqual(Object.entries(HTTP_FLAGS).map(([flag, name]) => `| \`${flag}\` | ${name} |`))
})
