/** An unsigned integer, which CEL tells from a signed one. */
export class Unsigned {
  readonly value: number

  /** @param value a whole number, not negative */
  constructor(value: number) {
    this.value = value
  }
}

/** A length of time. */
export class Milliseconds {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

/** What an expression may ask for: a bigint is CEL's `int`, a number its `double`, a Date its `timestamp`. */
export type Attribute = string | boolean | number | bigint | Unsigned | Date | Milliseconds | Attributes

/** Attributes by name, each made when an expression asks for it. */
export interface Attributes {
  /** Undefined: there is none, which is an error to whoever reads it, and false to `has`. */
  get(name: string): Attribute | undefined
  names(): Iterable<string>
}
