import { CodedError } from '@ambient-lab/std'

/** A policy that cannot be compiled; the data plane refuses that one resource and keeps the others. */
export function invalidPolicy(policy: string, reason: string): CodedError {
  return new CodedError('INVALID_POLICY', `policy ${policy}: ${reason}`, { where: `policy ${policy}` })
}
