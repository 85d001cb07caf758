/** Values by a text that others begin with (or end with), found by walking a text once, however many there are. */
export class AffixTree<T> {
  readonly #root: Node<T> = { label: '', values: [], children: undefined }
  readonly #fromEnd: boolean

  /** @param end which end of a text the affixes are at */
  constructor(end: 'start' | 'end') {
    this.#fromEnd = end === 'end'
  }

  /** The list of an affix, made when it is new. */
  valuesOf(affix: string): T[] {
    const text = this.#fromEnd
      ? [...Array(affix.length).keys()].map((at) => affix[affix.length - 1 - at]).join('')
      : affix
    let node = this.#root
    let depth = 0
    while (depth < text.length) {
      node.children ??= new Map()
      const code = text.charCodeAt(depth)
      const child = node.children.get(code)
      if (!child) {
        const leaf: Node<T> = { label: text.slice(depth), values: [], children: undefined }
        node.children.set(code, leaf)
        return leaf.values
      }
      const common = commonLength(child.label, text, depth)
      node = common === child.label.length ? child : split(node.children, child, common)
      depth += common
    }
    return node.values
  }

  /**
   * Goes through the lists of all affixes of `text`, shortest first.
   * @param step gets what it answered before, first `seed`
   */
  fold<R, C>(text: string, seed: R, step: (before: R, values: readonly T[], context: C) => R, context: C): R {
    let answer = seed
    let node = this.#root
    let depth = 0
    for (;;) {
      if (node.values.length > 0) answer = step(answer, node.values, context)
      if (depth >= text.length || !node.children) return answer
      const child = node.children.get(this.#codeAt(text, depth))
      if (!child || !this.#goesOn(text, depth, child.label)) return answer
      depth += child.label.length
      node = child
    }
  }

  #goesOn(text: string, depth: number, label: string): boolean {
    if (text.length - depth < label.length) return false
    for (let at = 1; at < label.length; at += 1) {
      if (this.#codeAt(text, depth + at) !== label.charCodeAt(at)) return false
    }
    return true
  }

  #codeAt(text: string, depth: number): number {
    return text.charCodeAt(this.#fromEnd ? text.length - 1 - depth : depth)
  }
}

interface Node<T> {
  /** What comes between the parent and this one, in the direction of the walk. */
  readonly label: string
  readonly values: T[]
  /** By the first character of their labels. */
  children: Map<number, Node<T>> | undefined
}

function commonLength(label: string, text: string, depth: number): number {
  let at = 0
  while (at < label.length && depth + at < text.length && label.charCodeAt(at) === text.charCodeAt(depth + at)) at += 1
  return at
}

/** Puts a node between a child and its parent, where the texts part. */
function split<T>(siblings: Map<number, Node<T>>, child: Node<T>, at: number): Node<T> {
  const lower: Node<T> = { ...child, label: child.label.slice(at) }
  const children = new Map([[lower.label.charCodeAt(0), lower]])
  const upper: Node<T> = { label: child.label.slice(0, at), values: [], children }
  siblings.set(upper.label.charCodeAt(0), upper)
  return upper
}
