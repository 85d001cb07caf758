import type { Random } from '@ambient-lab/std'

/** Draws indexes in proportion to weights; without a search where all are equal. */
export class WeightedDraw {
  readonly isUniform: boolean
  readonly #sums: Float64Array

  /** @param weights not negative; not all zero unless the list is empty */
  constructor(weights: readonly number[]) {
    this.isUniform = weights.every((weight) => weight === weights[0])
    this.#sums = new Float64Array(weights.length)
    let total = 0
    for (const [index, weight] of weights.entries()) {
      total += weight
      this.#sums[index] = total
    }
  }

  /** @returns -1 when there is nothing to draw from */
  draw(random: Random): number {
    const count = this.#sums.length
    if (count <= 1) return count - 1
    if (this.isUniform) return random.integer(count)
    return this.at(random.next())
  }

  /** The index that a share of the whole falls on. @param share in [0, 1) */
  at(share: number): number {
    const sums = this.#sums
    const wanted = share * sums[sums.length - 1]!
    let low = 0
    let high = sums.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle]! > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}
