import { matchesEvery } from '@ambient-lab/api'

type Labels = Readonly<Record<string, string>>

/**
 * Finds what selects a set of labels without trying every selector: each is filed under one of its pairs, so that only
 * those which share that pair are compared. Selectors without pairs select nothing here.
 */
export class SelectorIndex<T> {
  readonly #byPair = new Map<string, { readonly selector: Labels; readonly item: T }[]>()

  add(selector: Labels, item: T): void {
    const [first] = Object.entries(selector)
    if (!first) return
    const pair = pairOf(...first)
    const filed = this.#byPair.get(pair)
    if (filed) filed.push({ selector, item })
    else this.#byPair.set(pair, [{ selector, item }])
  }

  /** In no order that means anything. */
  matching(labels: Labels): T[] {
    return Object.entries(labels).flatMap(([key, value]) =>
      (this.#byPair.get(pairOf(key, value)) ?? [])
        .filter(({ selector }) => matchesEvery(selector, labels))
        .map(({ item }) => item),
    )
  }
}

function pairOf(key: string, value: string): string {
  return `${key}=${value}`
}
