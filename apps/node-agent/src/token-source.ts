import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { CodedError, errorMessage } from '@ambient-lab/std'

/** A token has a few hundred bytes; more on stdin is a mistake. */
const TOKEN_BYTES_MAX = 16 * 1024

/**
 * The text of the join token: a file, or the first line of stdin for `-`, where a supervisor writes it once it has one.
 * @throws CodedError TOKEN_MISSING
 */
export async function readToken(tokenFile: string | undefined, stdin: Readable): Promise<string> {
  if (tokenFile === undefined) throw missing('this node never joined, and no token was given')
  if (tokenFile === '-') return readLine(stdin)
  try {
    return readFileSync(tokenFile, 'utf8')
  } catch (cause) {
    throw missing(`cannot read the token: ${errorMessage(cause)}`, cause)
  }
}

async function readLine(stdin: Readable): Promise<string> {
  let text = ''
  stdin.setEncoding('utf8')
  for await (const chunk of stdin) {
    text += chunk
    if (text.includes('\n') || text.length > TOKEN_BYTES_MAX) break // leaving the loop closes stdin
  }
  const [line = ''] = text.split('\n')
  if (line.trim() === '') throw missing('stdin ended without a token')
  return line
}

function missing(message: string, cause?: unknown): CodedError {
  return new CodedError('TOKEN_MISSING', message, { cause, next: 'ambient node token NODE' })
}
