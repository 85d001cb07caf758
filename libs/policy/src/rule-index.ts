import { AffixTree } from './affix-tree.ts'
import { type CompiledPolicy, type CompiledRule, ruleHolds } from './compiled-policy.ts'
import type { Facts } from './facts.ts'
import type { Anchor, AnchorKey, Dimension } from './field-kind.ts'
import { INDEXED_RULES_MIN } from './limits.ts'

/** A rule and when its turn is, from 0. */
interface Turn {
  readonly order: number
  readonly rule: CompiledRule
}

/** The rules of one dimension by the texts they want. */
interface Shelf {
  readonly dimension: Dimension
  readonly exact: Map<string, Turn[]>
  prefixes: AffixTree<Turn> | undefined
  suffixes: AffixTree<Turn> | undefined
}

/**
 * Rules by a text without which they cannot hold (a caller's principal, a path's beginning, a header's value), so that
 * a decision meets those few that may hold and not the five hundred of other callers and paths. What it leaves out would
 * have been false. Each rule is filed by that of its texts that it shares with the fewest others.
 */
export class RuleIndex {
  readonly #rules: readonly CompiledRule[]
  /** Those that any facts may fit. */
  readonly #anywhere: Turn[] = []
  readonly #shelves: readonly Shelf[]

  /** @param policies in the order in which they are asked */
  constructor(policies: readonly CompiledPolicy[]) {
    this.#rules = policies.flatMap(({ rules }) => rules)
    const shelves = new Map<string, Shelf>()
    const isWorthIt = this.#rules.length >= INDEXED_RULES_MIN
    const anchors = this.#rules.map((rule) => (isWorthIt ? anchorsOf(rule) : []))
    const shared = countKeys(anchors.flat(3))
    for (const [order, rule] of this.#rules.entries()) {
      const turn = { order, rule }
      const chosen = leastShared(anchors[order]!, shared)
      if (!chosen) this.#anywhere.push(turn)
      else for (const anchor of chosen) file(turn, anchor, shelves)
    }
    this.#shelves = [...shelves.values()]
  }

  get size(): number {
    return this.#rules.length
  }

  /** The first rule, in order, that holds. */
  firstMatch(facts: Facts): CompiledRule | undefined {
    let before = firstIn(this.#rules.length, this.#anywhere, facts)
    for (const shelf of this.#shelves) {
      const texts = shelf.dimension.textsOf(facts)
      if (texts === undefined) continue
      if (typeof texts === 'string') before = firstOnShelf(before, shelf, texts, facts)
      else for (const text of texts) if (typeof text === 'string') before = firstOnShelf(before, shelf, text, facts)
    }
    return this.#rules[before]
  }

  /** Every rule that holds; may name one twice, in no order. For tests and for explanations. */
  candidates(facts: Facts): readonly CompiledRule[] {
    const found = [...this.#anywhere]
    const collect = (_: undefined, turns: readonly Turn[]): undefined => void found.push(...turns)
    for (const { dimension, exact, prefixes, suffixes } of this.#shelves) {
      const texts = dimension.textsOf(facts) ?? []
      for (const text of typeof texts === 'string' ? [texts] : texts) {
        if (typeof text !== 'string') continue
        found.push(...(exact.get(text) ?? []))
        prefixes?.fold(text, undefined, collect, undefined)
        suffixes?.fold(text, undefined, collect, undefined)
      }
    }
    const orders = new Set(found.map(({ order }) => order))
    return [...orders].sort((a, b) => a - b).map((order) => this.#rules[order]!)
  }
}

/** The turn of the first rule in the list that comes before `before` and holds, else `before`. */
function firstIn(before: number, turns: readonly Turn[], facts: Facts): number {
  for (const { order, rule } of turns) {
    if (order >= before) return before
    if (ruleHolds(rule, facts)) return order
  }
  return before
}

function firstOnShelf(before: number, shelf: Shelf, text: string, facts: Facts): number {
  const turns = shelf.exact.get(text)
  let first = turns ? firstIn(before, turns, facts) : before
  if (shelf.prefixes) first = shelf.prefixes.fold(text, first, firstIn, facts)
  return shelf.suffixes ? shelf.suffixes.fold(text, first, firstIn, facts) : first
}

/** What a clause can be found by: for each of its matches the anchors among its fields. */
type ClauseAnchors = readonly (readonly Anchor[])[]

/** Clauses are ANDed: any of them that has anchors is a bound on the whole rule. */
function anchorsOf(rule: CompiledRule): readonly ClauseAnchors[] {
  return rule.clauses.flatMap((clause) => {
    if (clause.matches.length === 0) return []
    // A match without any field is false, and nobody has to find it.
    const matches = clause.matches.filter((predicates) => predicates.length > 0)
    const anchors = matches.map((predicates) => predicates.flatMap(({ anchor }) => anchor ?? []))
    // Matches are ORed: one that cannot be found makes the clause one that may always hold.
    return anchors.some(({ length }) => length === 0) ? [] : [anchors]
  })
}

/** How many rules could be filed under each key. */
function countKeys(anchors: readonly Anchor[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const anchor of anchors) {
    for (const key of anchor.keys) {
      const name = keyName(anchor, key)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
  }
  return counts
}

/** Of every match of one clause the anchor that the fewest other rules share; undefined: the rule has to be asked always. */
function leastShared(
  clauses: readonly ClauseAnchors[],
  shared: ReadonlyMap<string, number>,
): readonly Anchor[] | undefined {
  const costOf = (anchor: Anchor) =>
    Math.max(...anchor.keys.map((key) => keyCost(key, shared.get(keyName(anchor, key)) ?? 0)))
  let best: { readonly cost: number; readonly anchors: readonly Anchor[] } | undefined
  for (const matches of clauses) {
    const cheapest = matches.map((anchors) =>
      anchors.map((anchor) => ({ anchor, cost: costOf(anchor) })).reduce((a, b) => (b.cost < a.cost ? b : a)),
    )
    const cost = Math.max(0, ...cheapest.map((one) => one.cost))
    if (!best || cost < best.cost) best = { cost, anchors: cheapest.map(({ anchor }) => anchor) }
  }
  return best?.anchors
}

/** A beginning or an end fits more texts than a whole text does, the more the shorter it is. */
function keyCost(key: AnchorKey, rules: number): number {
  if ('exact' in key) return rules
  const { length } = 'prefix' in key ? key.prefix : key.suffix
  return rules + 1 / length
}

function keyName({ dimension }: Anchor, key: AnchorKey): string {
  if ('exact' in key) return `${dimension.name}\0=${key.exact}`
  return 'prefix' in key ? `${dimension.name}\0<${key.prefix}` : `${dimension.name}\0>${key.suffix}`
}

function file(turn: Turn, { dimension, keys }: Anchor, shelves: Map<string, Shelf>): void {
  let shelf = shelves.get(dimension.name)
  if (!shelf) {
    shelf = { dimension, exact: new Map(), prefixes: undefined, suffixes: undefined }
    shelves.set(dimension.name, shelf)
  }
  for (const key of keys) {
    const turns = turnsOf(shelf, key)
    // A value that is written twice, or by two matches of the rule, is one place.
    if (turns.at(-1) !== turn) turns.push(turn)
  }
}

function turnsOf(shelf: Shelf, key: AnchorKey): Turn[] {
  if ('exact' in key) {
    const turns = shelf.exact.get(key.exact) ?? []
    shelf.exact.set(key.exact, turns)
    return turns
  }
  if ('prefix' in key) {
    shelf.prefixes ??= new AffixTree('start')
    return shelf.prefixes.valuesOf(key.prefix)
  }
  shelf.suffixes ??= new AffixTree('end')
  return shelf.suffixes.valuesOf(key.suffix)
}
