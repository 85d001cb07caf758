import type { Resource } from '../resource.ts'
import type { AnalysisWorld } from './analysis-world.ts'
import type { Finding } from './finding.ts'
import { FINDING_CODES, type FindingCode } from './finding-codes.ts'

/** Looks at the configuration and says what is wrong with it. A file of `analyzers/` that default-exports one is its registration. */
export interface Analyzer {
  /** As its file. */
  readonly name: string
  /** All that it can find. */
  readonly codes: readonly FindingCode[]
  /** Pure: reads the world alone. The objects keep to their schema; all that it does not require may be missing. */
  find(world: AnalysisWorld): Iterable<Finding>
}

export function defineAnalyzer(analyzer: Analyzer): Analyzer {
  return analyzer
}

/**
 * @param values fill the template of the code's message, in order
 * @param path of the field that is meant
 */
export function finding(
  code: FindingCode,
  object: Resource,
  values: readonly (string | number)[] = [],
  path?: string,
): Finding {
  const { level, template } = FINDING_CODES[code]
  const { apiVersion, kind } = object
  const { name, namespace } = object.metadata
  return {
    code,
    level,
    object: { apiVersion, kind, name, ...(namespace && { namespace }) },
    message: filled(template, values),
    ...(path !== undefined && { path }),
  }
}

/** `%s` as it is, `%q` in quotes. */
function filled(template: string, values: readonly (string | number)[]): string {
  let index = 0
  return template.replace(/%[sq]/g, (mark) => {
    const value = values[index++] ?? ''
    return mark === '%q' ? JSON.stringify(String(value)) : String(value)
  })
}
