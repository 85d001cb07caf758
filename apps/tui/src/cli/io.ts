import { CodedError, errorCode, errorMessage } from '@ambient-lab/std'

/** Where a command's words go. stdout is the answer, stderr is the talk. */
export interface Io {
  /** The answer, as it is; ends its own lines. */
  answer(text: string): void
  /** Talk, one line; silenced by -q. */
  talk(line: string): void
  /** `Warning: …` on stderr; silenced by -q. */
  warn(text: string): void
  /** Never silenced. */
  error(text: string): void
  readonly isTty: boolean
  readonly columns: number
  paint(style: Style, text: string): string
  readStdin(): Promise<string>
}

export type Style = 'good' | 'warning' | 'bad' | 'dim' | 'bold'

const SGR: Readonly<Record<Style, string>> = { good: '32', warning: '33', bad: '31', dim: '2', bold: '1' }

/** Whether to colour, by flag, NO_COLOR, FORCE_COLOR, TERM and what stdout is. */
export function wantsColor(when: string, env: Readonly<Record<string, string | undefined>>, isTty: boolean): boolean {
  if (when !== 'auto') return when === 'always'
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR && env.FORCE_COLOR !== '0') return true
  return isTty && env.TERM !== 'dumb'
}

/** A pipe whose reader left (`| head`), a terminal that was closed. */
const GONE: readonly (string | undefined)[] = ['EPIPE', 'EIO']

/** The real one. Tells `answerLost`, once or more, why stdout takes no more: a READER_GONE is nobody's error. */
export function processIo(options: { quiet: boolean; color: boolean; answerLost: (why: CodedError) => void }): Io {
  const say = (text: string) => process.stderr.write(`${text}\n`)
  process.stderr.on('error', () => {}) // talk that nobody hears is no reason to stop
  process.stdout.on('error', (error) => {
    const code = errorCode(error)
    if (GONE.includes(code))
      return options.answerLost(new CodedError('READER_GONE', 'nobody reads the answer any more'))
    options.answerLost(new CodedError('ANSWER_LOST', `the answer cannot be written: ${errorMessage(error)}`))
  })
  return {
    answer: (text) => process.stdout.write(text),
    talk: (line) => options.quiet || say(line),
    warn: (text) => options.quiet || say(`Warning: ${text}`),
    error: say,
    isTty: process.stdout.isTTY === true,
    columns: process.stdout.columns ?? 80,
    paint: (style, text) => (options.color ? `\x1b[${SGR[style]}m${text}\x1b[0m` : text),
    readStdin,
  }
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
