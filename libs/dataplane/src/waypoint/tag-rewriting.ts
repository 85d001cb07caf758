import { CelExpression } from '@ambient-lab/policy'
import { CodedError } from '@ambient-lab/std'
import type { MetricFamily } from '@ambient-lab/telemetry'
import { STANDARD_METRICS, type StandardMetric, type TagOverrides } from '@ambient-lab/xds'
import { END_LABELS } from './end-labels.ts'
import { TAG_VALUE_LENGTH_MAX } from './limits.ts'
import { RequestAttributes } from './request-attributes.ts'
import type { RequestRecord } from './request-record.ts'

/** Labels that Istio's metrics have besides those of the two ends. */
export const OUTCOME_LABELS = [
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
] as const

const STANDARD_LABELS: ReadonlySet<string> = new Set([...END_LABELS, ...OUTCOME_LABELS])

/** What a value is that could not be evaluated. */
const UNKNOWN = 'unknown'

/** What becomes of the labels of one metric: expressions by their place among all of them. */
interface Relabelling {
  /** Undefined: the label is left out. */
  readonly replaced: ReadonlyMap<string, number | undefined>
  readonly added: readonly (readonly [name: string, expression: number])[]
}

/**
 * What a Telemetry makes of the labels of metrics. As Istio's filter has it, every expression is evaluated once for a request,
 * a standard label is replaced or left out in its place, others follow in the order of their names, a standard
 * label that the metric does not have is not added, and only standard ones can be removed. An expression that is none
 * takes a standard label with it.
 * @see istio/proxy source/extensions/filters/http/istio_stats/istio_stats.cc, `MetricOverrides`
 */
export class TagRewriting {
  readonly #attributes = new RequestAttributes()
  readonly #expressions: readonly CelExpression[]
  readonly #byMetric = new Map<StandardMetric, Relabelling>()

  private constructor(overrides: TagOverrides) {
    const expressions = new ExpressionList()
    for (const metric of STANDARD_METRICS) {
      const tags = overrides[metric]
      if (tags) this.#byMetric.set(metric, relabelling(tags, expressions))
    }
    this.#expressions = expressions.all
  }

  /** @returns undefined when nothing is overridden: then nothing is evaluated, nor loaded for it */
  static compile(overrides: TagOverrides | undefined): TagRewriting | undefined {
    return overrides && Object.keys(overrides).length > 0 ? new TagRewriting(overrides) : undefined
  }

  /** The values of all expressions; `withHeads` as RequestAttributes has it. */
  evaluate(record: RequestRecord, options?: { readonly withHeads: boolean }): readonly string[] {
    const bindings = this.#attributes.of(record, options)
    return this.#expressions.map((expression) => (expression.text(bindings) ?? UNKNOWN).slice(0, TAG_VALUE_LENGTH_MAX))
  }

  /**
   * The handle of a series.
   * @param labels as they would be without overrides
   * @param values as `evaluate` made them
   */
  handle<Label extends string, Handle>(
    family: MetricFamily<Label, Handle>,
    metric: StandardMetric,
    labels: Readonly<Record<Label, string>>,
    values: readonly string[],
  ): Handle {
    const found = this.#byMetric.get(metric)
    if (!found) return family.labels(labels)
    const written: [string, string][] = []
    for (const [name, value] of Object.entries<string>(labels)) {
      if (!found.replaced.has(name)) {
        written.push([name, value])
        continue
      }
      const expression = found.replaced.get(name)
      if (expression !== undefined) written.push([name, values[expression]!])
    }
    for (const [name, expression] of found.added) written.push([name, values[expression]!])
    return family.relabelled(written)
  }
}

/** Expressions, each text of them once. */
class ExpressionList {
  readonly all: CelExpression[] = []
  readonly #places = new Map<string, number | undefined>()

  /** Its place; undefined for what is no expression. */
  place(source: string): number | undefined {
    if (!this.#places.has(source)) {
      const expression = compiled(source)
      this.#places.set(source, expression && this.all.push(expression) - 1)
    }
    return this.#places.get(source)
  }
}

function compiled(source: string): CelExpression | undefined {
  try {
    return CelExpression.compile(source)
  } catch (error) {
    if (!CodedError.is(error, 'INVALID_EXPRESSION')) throw error
    return undefined
  }
}

function relabelling(tags: Readonly<Record<string, string | null>>, expressions: ExpressionList): Relabelling {
  const replaced = new Map<string, number | undefined>()
  const added = new Map<string, number>()
  for (const tag of Object.keys(tags).sort()) {
    const source = tags[tag]!
    const place = source === null ? undefined : expressions.place(source)
    if (STANDARD_LABELS.has(tag)) replaced.set(tag, place)
    else if (place !== undefined && !STANDARD_LABELS.has(labelName(tag))) added.set(labelName(tag), place)
  }
  return { replaced, added: [...added] }
}

/** As Envoy writes the name of a tag for Prometheus. */
function labelName(tag: string): string {
  const name = tag.replace(/[^a-zA-Z0-9_]/g, '_')
  return /^[a-zA-Z_]/.test(name) ? name : `_${name}`
}
