import { CodedError, errorMessage } from '@ambient-lab/std'
import { type CelInput, type CelResult, celEnv, celMap, isCelError, parse, plan } from '@bufbuild/cel'
import { CEL_COMPREHENSION_DEPTH_MAX, CEL_EXPRESSION_MAX } from '../limits.ts'
import { LinearRegex } from '../linear-regex.ts'
import { AttributeMap } from './attribute-map.ts'
import type { Attributes } from './attributes.ts'
import { celText } from './cel-text.ts'

declare const isBindings: unique symbol

/** What the names of an expression stand for; good for any number of expressions. */
export interface CelBindings {
  readonly [isBindings]: true
}

/** @param roots the names that an expression begins with, as `request` */
export function celBindings(roots: Readonly<Record<string, Attributes>>): CelBindings {
  // Without a prototype: an expression may name whatever it likes.
  const bindings: Record<string, CelInput> = Object.create(null)
  for (const [name, attributes] of Object.entries(roots)) bindings[name] = celMap(new AttributeMap(attributes))
  return bindings as unknown as CelBindings
}

type Program = (bindings: Record<string, CelInput>) => CelResult

/**
 * An expression of the Common Expression Language, without types: what it asks for and does not find is an error of the
 * evaluation, as at Envoy. The library is loaded when the first one is compiled.
 * @see https://github.com/google/cel-spec/blob/master/doc/langdef.md
 */
export class CelExpression {
  readonly source: string
  readonly #run: Program

  private constructor(source: string, run: Program) {
    this.source = source
    this.#run = run
  }

  /** @throws CodedError INVALID_EXPRESSION for what is not CEL, or is too long */
  static compile(source: string): CelExpression {
    if (source.length > CEL_EXPRESSION_MAX) {
      throw invalid(`${source.slice(0, 32)}…`, `longer than ${CEL_EXPRESSION_MAX} characters`)
    }
    try {
      const { expr } = parse(source)
      if (comprehensionDepth(expr) <= CEL_COMPREHENSION_DEPTH_MAX) {
        environment ??= celEnv({ re2: { compile: linearMatcher } })
        return new CelExpression(source, plan(environment, expr!))
      }
    } catch (cause) {
      // Also of an expression that is nested so deeply that its parser runs out of stack.
      throw invalid(source, errorMessage(cause), cause)
    }
    throw invalid(source, 'a macro over a list or a map is in another one')
  }

  /** Its value as Envoy would write it; undefined when it has none. */
  text(bindings: CelBindings): string | undefined {
    const value = this.#run(bindings as unknown as Record<string, CelInput>)
    return isCelError(value) ? undefined : celText(value)
  }

  /** Whether it is true: neither false, nor something else, nor an error. */
  holds(bindings: CelBindings): boolean {
    return this.#run(bindings as unknown as Record<string, CelInput>) === true
  }
}

let environment: ReturnType<typeof celEnv> | undefined

/** `matches`: with our own expressions, which no text makes slow, and which are kept compiled. */
function linearMatcher(pattern: string): { test(text: string): boolean } {
  const regex = LinearRegex.compile(pattern)
  return { test: (text) => regex.finds(text) }
}

/** How many macros are in one another at most. @param node of a syntax tree */
function comprehensionDepth(node: unknown): number {
  if (typeof node !== 'object' || node === null) return 0
  const own = '$typeName' in node && node.$typeName === 'cel.expr.Expr.Comprehension' ? 1 : 0
  return own + Object.values(node).reduce((depth: number, inner) => Math.max(depth, comprehensionDepth(inner)), 0)
}

function invalid(source: string, reason: string, cause?: unknown): CodedError {
  return new CodedError('INVALID_EXPRESSION', `not a CEL expression: ${source}: ${reason}`, { cause })
}
