import { CodedError, errorMessage } from '@ambient-lab/std'

/**
 * The one form of every error: what, then why, then the next command.
 * @param verbosity from 2 on with the chain of causes
 */
export function errorText(error: unknown, verbosity = 0): string {
  const [what = '', ...why] = errorMessage(error).split('\n')
  const lines = [`error: ${what}`, ...why.map((line) => (line.startsWith('  ') ? line : `  ${line}`))]
  const next = CodedError.is(error) ? error.next : undefined
  if (next !== undefined) lines.push(`  next: ${next}`)
  if (verbosity >= 2) lines.push(...causes(error).map((cause) => `  cause: ${cause}`))
  return lines.join('\n')
}

function causes(error: unknown): string[] {
  const texts: string[] = []
  let cause = error instanceof Error ? error.cause : undefined
  while (cause !== undefined && texts.length < 10) {
    texts.push(errorMessage(cause))
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return texts
}
