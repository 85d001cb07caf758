import { HeaderMap, RequestEncoder, removeHopByHop } from '@ambient-lab/dataplane'
import { readWithLlhttp } from '@ambient-lab/testing'
import { allOf, same } from '../expectation.ts'
import { type Message, observe } from '../http1/observe.ts'
import { type CorpusCase, defineJudge, failed, PASSED, type Verdict } from '../judge.ts'

export interface SmugglingCase extends CorpusCase {
  readonly requestBase64: string
}

/**
 * Bytes that some server or proxy misread. There is no right answer to each; the rule is: what is not refused is
 * forwarded so that a strict parser reads the very requests that we counted, and llhttp reads no more of the original.
 */
export default defineJudge<SmugglingCase>({
  corpus: 'http1-smuggling',
  judge({ requestBase64 }) {
    const input = Buffer.from(requestBase64, 'base64')
    return allOf(judgeInput(input), () => judgeInput(withHost(input)))
  },
})

function judgeInput(input: Buffer): Verdict {
  const whole = observe('request', input, input.length)
  const { messages, error } = observe('request', input, 1)
  const taken = messages.filter(({ end }) => end !== undefined)
  const original = readWithLlhttp('request', input)
  return allOf(
    same({ lines: whole.messages.map(lineOf), error: whole.error }, { lines: messages.map(lineOf), error }),
    () => judgeForwarded(taken),
    () => (error === undefined && original.error !== undefined ? judgeIgnored(taken, original.messages) : PASSED),
  )
}

/** So that a request that lacks only this says what it is about. */
function withHost(input: Buffer): Buffer {
  const text = input.toString('latin1')
  return /\nhost/i.test(text) ? input : Buffer.from(text.replace('\r\n', '\r\nHost: a\r\n'), 'latin1')
}

function judgeForwarded(messages: readonly Message[]): Verdict {
  const bytes = forward(messages)
  const text = bytes.toString('latin1')
  if (/\r(?!\n)|(?<!\r)\n|\0/.test(text)) return failed(`a bare CR, LF or NUL goes out: ${JSON.stringify(text)}`)
  const forwarded = readWithLlhttp('request', bytes)
  return allOf(
    same(forwarded.error, undefined),
    same(
      forwarded.messages.map(({ line, body }) => ({ line, body })),
      messages.map(({ line, body }) => ({ line, body })),
    ),
  )
}

/** llhttp refuses what is behind a last message; we do not look at it. */
function judgeIgnored(taken: readonly Message[], read: readonly { readonly end: number | undefined }[]): Verdict {
  return same(
    taken.map(({ end }) => end),
    read.filter(({ end }) => end !== undefined).map(({ end }) => end),
  )
}

function forward(messages: readonly Message[]): Buffer {
  const written: Uint8Array[] = []
  const encoder = new RequestEncoder({ write: (chunk) => written.push(chunk) > 0 })
  for (const { line, headers, body } of messages) {
    const [method = '', target = ''] = line.split(' ')
    const fields = new HeaderMap(headers)
    const isChunked = fields.has('transfer-encoding')
    removeHopByHop(fields)
    const framing = isChunked ? 'chunked' : body === '' ? 'none' : 'length'
    encoder.writeHead({ method, target, headers: fields, framing, contentLength: body.length })
    encoder.writeBody(Buffer.from(body, 'latin1'))
    encoder.end()
  }
  return Buffer.concat(written)
}

function lineOf({ line }: Message): string {
  return line
}
