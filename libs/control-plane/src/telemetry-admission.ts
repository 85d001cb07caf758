import type { Telemetry } from '@ambient-lab/api'
import { CelExpression } from '@ambient-lab/policy'
import { CodedError } from '@ambient-lab/std'
import { type AdmissionHook, invalid } from './api-server/index.ts'
import { TELEMETRIES } from './stored-kinds.ts'

interface Fault {
  readonly path: string
  readonly message: string
}

/**
 * Istio's webhook: a log's filter that is no CEL is refused. A tag's value it lets pass, and proxies leave the tag out
 * without a word: the lab warns.
 */
export function telemetryAdmission(): AdmissionHook {
  return {
    name: 'telemetry-expressions',
    admit({ type, operation, object, subresource }) {
      if (type !== TELEMETRIES || operation === 'delete' || subresource) return undefined
      const telemetry = object as Telemetry
      const refused = faultsOf(filtersOf(telemetry), 'must be a valid CEL expression')
      if (refused.length > 0) {
        throw invalid({ group: 'telemetry.istio.io', kind: 'Telemetry' }, telemetry.metadata.name, refused)
      }
      const warnings = faultsOf(tagsOf(telemetry), 'the tag is left out').map(
        ({ path, message }) => `${path}: ${message}`,
      )
      return warnings.length > 0 ? { warnings } : undefined
    },
  }
}

type Expression = readonly [path: string, source: string]

function filtersOf({ spec }: Telemetry): Expression[] {
  return (spec?.accessLogging ?? []).flatMap(({ filter }, index): Expression[] =>
    filter ? [[`spec.accessLogging[${index}].filter.expression`, filter.expression ?? '']] : [],
  )
}

function tagsOf({ spec }: Telemetry): Expression[] {
  return (spec?.metrics ?? []).flatMap(({ overrides = [] }, index) =>
    overrides.flatMap(({ tagOverrides = {} }, at) =>
      Object.entries(tagOverrides).flatMap(([tag, { operation, value = '' }]): Expression[] =>
        operation === 'REMOVE' ? [] : [[`spec.metrics[${index}].overrides[${at}].tagOverrides[${tag}].value`, value]],
      ),
    ),
  )
}

function faultsOf(expressions: readonly Expression[], consequence: string): Fault[] {
  return expressions.flatMap(([path, source]) => {
    try {
      CelExpression.compile(source)
      return []
    } catch (error) {
      if (!CodedError.is(error, 'INVALID_EXPRESSION')) throw error
      return [{ path, message: `Invalid value: ${JSON.stringify(source)}: ${consequence}, ${error.message}` }]
    }
  })
}
