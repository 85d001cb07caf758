/** Ids whose failures are counted; the oldest is forgotten. */
const IDS_MAX = 10_000

/** The failures that requests ask for, `?uuid=…&succeedAfter=2[&responseCode=500]`: the first two of the id fail. */
export class FailingFirst {
  readonly #seen = new Map<string, number>()

  /** @returns the status to answer, or that the connection is to be cut; undefined: nothing fails */
  next(query: URLSearchParams): number | 'cut' | undefined {
    const [id, after] = [query.get('uuid'), Number(query.get('succeedAfter') ?? 0)]
    if (id === null || !(after > 0)) return undefined
    const seen = this.#seen.get(id) ?? 0
    if (seen >= after) return undefined
    this.#seen.set(id, seen + 1)
    if (this.#seen.size > IDS_MAX) this.#seen.delete(this.#seen.keys().next().value!)
    const status = Number(query.get('responseCode') ?? Number.NaN)
    return Number.isInteger(status) ? status : 'cut'
  }
}
