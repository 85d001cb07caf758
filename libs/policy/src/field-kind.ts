import type { Facts } from './facts.ts'
import type { HttpAuthorizationMatch } from './http-authorization.ts'
import { type Cidr, cidrBits, cidrContains, formatCidr, type IpAddress, parseCidr } from './ip.ts'
import {
  anyOf,
  anyText,
  formatText,
  isStringMatch,
  isTextMatch,
  type TextMatch,
  type TextPredicate,
} from './text-match.ts'

export type MatchField = keyof HttpAuthorizationMatch
export type FactsPredicate = (facts: Facts) => boolean

/** One field's names and how to compile its values; the negated field is made from the same line. */
export interface FieldKind<V = never> {
  readonly positive: MatchField
  readonly negative: MatchField
  /** Whether it is a value of this field; asked before anything else is done with it. */
  readonly isValid: (value: unknown) => value is V
  /** @returns whether any of the values fits */
  readonly compile: (values: readonly V[]) => FactsPredicate
  readonly format: (value: V) => string
  /** What the facts have instead, for people. */
  readonly actual: (facts: Facts, values: readonly V[]) => string
  /** Undefined: nothing about the facts can be looked up by these values. */
  readonly anchor?: (values: readonly V[]) => Anchor | undefined
}

/** Texts without one of which no value of the field fits, and where the facts have theirs. */
export interface Anchor {
  readonly dimension: Dimension
  readonly keys: readonly AnchorKey[]
}

export type AnchorKey = { readonly exact: string } | { readonly prefix: string } | { readonly suffix: string }

/** One text of the facts that rules can be found by. */
export interface Dimension {
  /** Two with the same name ask the same. */
  readonly name: string
  /** Several when any of them will do; undefined when the facts have none. */
  textsOf(facts: Facts): string | readonly unknown[] | undefined
}

interface TextField {
  readonly positive: MatchField
  readonly negative: MatchField
  /** Undefined: the facts have none, and no value fits. */
  readonly textOf: (facts: Facts) => string | undefined
  /** What to say when there is none. */
  readonly none: string
  /** Values are taken in lower case, and so is what `textOf` answers. */
  readonly ignoreCase?: boolean
  /** Presence is true of an empty text too, as Envoy has it of headers. @default false */
  readonly mayBeEmpty?: boolean
}

/** A field whose values are exact, a prefix, a suffix or presence. */
export function textField({
  positive,
  negative,
  textOf,
  none,
  ignoreCase = false,
  mayBeEmpty = false,
}: TextField): FieldKind<TextMatch> {
  const fold = (match: TextMatch) => {
    if (mayBeEmpty && 'presence' in match) return { prefix: '' }
    return ignoreCase ? lowerCase(match) : match
  }
  return {
    positive,
    negative,
    isValid: isStringMatch,
    compile: (values) => overText(textOf, anyText(values.map(fold))),
    format: formatText,
    actual: (facts) => textOf(facts) ?? none,
    anchor: (values) => anchorOf({ name: positive, textsOf: textOf }, values.map(fold)),
  }
}

/** The same, with globs. */
export function globField(field: TextField): FieldKind<TextMatch> {
  return { ...textField(field), isValid: isTextMatch }
}

export function overText(textOf: (facts: Facts) => string | undefined, matches: TextPredicate): FactsPredicate {
  return (facts) => {
    const text = textOf(facts)
    return text !== undefined && matches(text)
  }
}

/** Undefined when some value is neither whole nor a beginning or an end that is not empty. */
export function anchorOf(dimension: Dimension, values: readonly TextMatch[]): Anchor | undefined {
  const keys: AnchorKey[] = []
  for (const value of values) {
    if ('exact' in value) keys.push({ exact: value.exact })
    else if ('prefix' in value && value.prefix !== '') keys.push({ prefix: value.prefix })
    else if ('suffix' in value && value.suffix !== '') keys.push({ suffix: value.suffix })
    else return undefined
  }
  return { dimension, keys }
}

interface AddressField {
  readonly positive: MatchField
  readonly negative: MatchField
  readonly addressOf: (facts: Facts) => IpAddress | undefined
  /** `ipBits` of the same; undefined: nothing is looked up by it. */
  readonly bitsOf?: (facts: Facts) => string | undefined
  readonly actual: (facts: Facts) => string
}

/** A field whose values are CIDRs. */
export function addressField({ positive, negative, addressOf, bitsOf, actual }: AddressField): FieldKind<string> {
  const contains =
    (cidr: Cidr): FactsPredicate =>
    (facts) => {
      const ip = addressOf(facts)
      return ip !== undefined && cidrContains(cidr, ip)
    }
  const cidrsOf = (texts: readonly string[]) => texts.flatMap((text) => parseCidr(text) ?? [])
  return {
    positive,
    negative,
    isValid: (value): value is string => typeof value === 'string' && parseCidr(value) !== undefined,
    compile: (values) => anyOf(cidrsOf(values).map(contains)),
    format: (text) => formatCidr(parseCidr(text)!),
    actual,
    ...(bitsOf && {
      anchor: (values) => ({
        dimension: { name: positive, textsOf: bitsOf },
        keys: cidrsOf(values).map((cidr) => ({ prefix: cidrBits(cidr) })),
      }),
    }),
  }
}

function lowerCase(match: TextMatch): TextMatch {
  const [[kind, text] = []] = Object.entries(match)
  return typeof text === 'string' ? ({ [kind!]: text.toLowerCase() } as unknown as TextMatch) : match
}
