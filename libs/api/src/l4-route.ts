import {
  type BackendRef,
  backendRefs,
  PARENT_REFS,
  type ParentReference,
  SECTION_NAME,
  USE_DEFAULT_GATEWAYS,
} from './gateway-api.ts'
import type { JsonSchema } from './kind.ts'
import { array, object, STATUS } from './schema.ts'

export interface L4RouteRule {
  readonly name?: string
  readonly backendRefs: readonly BackendRef[]
}

/** A route that does not look into the bytes: TCPRoute, UDPRoute; with hostnames, TLSRoute. */
export interface L4RouteSpec {
  readonly parentRefs?: readonly ParentReference[]
  readonly useDefaultGateways?: 'All' | 'None'
  /** Exactly one. */
  readonly rules: readonly L4RouteRule[]
}

/** The schema of such a kind, with fields of its own that are required. */
export function l4RouteSchema(own: Readonly<Record<string, JsonSchema>> = {}): JsonSchema {
  const rule = object({ backendRefs: backendRefs({}, 1), name: SECTION_NAME }, { required: ['backendRefs'] })
  const spec = object(
    {
      ...own,
      parentRefs: PARENT_REFS,
      rules: array(rule, { minItems: 1, maxItems: 1 }),
      useDefaultGateways: USE_DEFAULT_GATEWAYS,
    },
    { required: [...Object.keys(own), 'rules'] },
  )
  return object({ spec, status: STATUS }, { required: ['spec'] })
}
