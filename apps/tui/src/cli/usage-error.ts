import { CodedError } from '@ambient-lab/std'

/** A wrong flag or argument: exit 64, with the command that explains. */
export function usageError(message: string, next: string): CodedError {
  return new CodedError('USAGE', message, { next })
}

/** ` (did you mean "X"?)`, or nothing. */
export function didYouMean(suggestion: string | undefined): string {
  return suggestion === undefined ? '' : `, did you mean "${suggestion}"?`
}
