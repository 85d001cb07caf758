import { type CelInput, celMap, celUint } from '@bufbuild/cel'
import { type Attribute, type Attributes, Milliseconds, Unsigned } from './attributes.ts'
import { durationOf, timestampOf } from './times.ts'

/** Attributes as the library wants a map: nothing is made of those that nobody asks for. */
export class AttributeMap implements ReadonlyMap<string, CelInput> {
  readonly #source: Attributes

  constructor(source: Attributes) {
    this.#source = source
  }

  get size(): number {
    return [...this.keys()].length
  }

  get(name: string): CelInput | undefined {
    const attribute = this.#source.get(name)
    return attribute === undefined ? undefined : inputOf(attribute)
  }

  has(name: string): boolean {
    return this.#source.get(name) !== undefined
  }

  *keys(): MapIterator<string> {
    for (const name of this.#source.names()) if (this.has(name)) yield name
  }

  *values(): MapIterator<CelInput> {
    for (const [, value] of this.entries()) yield value
  }

  *entries(): MapIterator<[string, CelInput]> {
    for (const name of this.#source.names()) {
      const value = this.get(name)
      if (value !== undefined) yield [name, value]
    }
  }

  [Symbol.iterator](): MapIterator<[string, CelInput]> {
    return this.entries()
  }

  forEach(callback: (value: CelInput, name: string, map: this) => void): void {
    for (const [name, value] of this.entries()) callback(value, name, this)
  }
}

function inputOf(attribute: Attribute): CelInput {
  if (typeof attribute !== 'object') return attribute
  if (attribute instanceof Unsigned) return celUint(BigInt(attribute.value))
  if (attribute instanceof Date) return timestampOf(attribute)
  if (attribute instanceof Milliseconds) return durationOf(attribute.value)
  return celMap(new AttributeMap(attribute))
}
