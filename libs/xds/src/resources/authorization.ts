/** L4 policy is owned by the lib that evaluates it; on the wire it is a resource like the others. */
export type {
  Authorization,
  AuthorizationClause,
  AuthorizationMatch,
  AuthorizationRule,
  ServiceAccountMatch,
  StringMatch,
} from '@ambient-lab/policy'
