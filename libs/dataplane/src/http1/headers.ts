import { consistsOf, FIELD_VALUE, TOKEN } from './characters.ts'
import { HttpCodecError } from './errors.ts'
import { isCommonName } from './header-names.ts'

const UPPER_A = 65
const UPPER_Z = 90

/**
 * The fields of a message: in order, with repeated ones, names in lower case (as Envoy keeps them), values as byte
 * strings (one character, U+0000 to U+00FF, for each byte on the wire). Whatever is in it can be sent: what comes
 * from our decoders has been judged there, what others put in is judged here.
 *
 * A value may share the memory of the head that it came in; what is kept beyond the request should be a copy.
 */
export class HeaderMap {
  /** Name, value, name, value, … */
  #list: string[] = []
  /** Names of fields that whoever sent them wants in no table of HPACK: they stay so (RFC 7541 §6.2.3). */
  neverIndexed: readonly string[] | undefined

  /** @throws HttpCodecError NOT_ENCODABLE */
  constructor(entries: Iterable<readonly [name: string, value: string]> = []) {
    for (const [name, value] of entries) this.append(name, value)
  }

  /** Of fields that a decoder has judged. The list is the map's from now on. */
  static ofJudged(list: string[]): HeaderMap {
    const map = new HeaderMap()
    map.#list = list
    return map
  }

  /** Fields, repeated ones counted each. */
  get size(): number {
    return this.#list.length / 2
  }

  /** @param index below `size` */
  nameAt(index: number): string {
    return this.#list[2 * index]!
  }

  valueAt(index: number): string {
    return this.#list[2 * index + 1]!
  }

  /** The first value. */
  get(name: string): string | undefined {
    const at = this.#find(name)
    return at < 0 ? undefined : this.#list[at + 1]
  }

  /** Every value, in order. */
  getAll(name: string): readonly string[] {
    const values: string[] = []
    const wanted = name.toLowerCase()
    for (let at = 0; at < this.#list.length; at += 2) {
      if (this.#list[at] === wanted) values.push(this.#list[at + 1]!)
    }
    return values
  }

  /** Every value in one, as RFC 9110 §5.3 joins them; not for Set-Cookie. */
  getJoined(name: string): string | undefined {
    const first = this.#find(name)
    if (first < 0) return undefined
    const wanted = this.#list[first]
    let joined = this.#list[first + 1]!
    for (let at = first + 2; at < this.#list.length; at += 2) {
      if (this.#list[at] === wanted) joined += `,${this.#list[at + 1]!}`
    }
    return joined
  }

  has(name: string): boolean {
    return this.#find(name) >= 0
  }

  /** Puts the one value in the place of the first, or at the end. @throws HttpCodecError NOT_ENCODABLE */
  set(name: string, value: string): void {
    checkValue(name, value)
    const at = this.#find(name)
    if (at < 0) {
      this.#list.push(checkName(name), value)
      return
    }
    this.#list[at + 1] = value
    this.#remove(this.#list[at]!, at + 2)
  }

  /** @throws HttpCodecError NOT_ENCODABLE */
  append(name: string, value: string): void {
    checkValue(name, value)
    this.#list.push(checkName(name), value)
  }

  /** @returns whether there was one */
  delete(name: string): boolean {
    const at = this.#find(name)
    if (at < 0) return false
    this.#remove(this.#list[at]!, at)
    return true
  }

  /** Deletes every field whose name the test holds for. */
  deleteWhere(test: (name: string) => boolean): void {
    const list = this.#list
    let to = 0
    for (let at = 0; at < list.length; at += 2) {
      if (test(list[at]!)) continue
      if (to < at) {
        list[to] = list[at]!
        list[to + 1] = list[at + 1]!
      }
      to += 2
    }
    list.length = to
  }

  *entries(): IterableIterator<[name: string, value: string]> {
    for (let at = 0; at < this.#list.length; at += 2) yield [this.#list[at]!, this.#list[at + 1]!]
  }

  [Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    return this.entries()
  }

  /** An independent one, such as for a second try or a mirrored request. */
  clone(): HeaderMap {
    const copy = HeaderMap.ofJudged(this.#list.slice())
    copy.neverIndexed = this.neverIndexed
    return copy
  }

  /** Names are mostly literals in lower case: those are found by identity. */
  #find(name: string): number {
    const list = this.#list
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === name) return at
    }
    return hasUpperCase(name) ? this.#find(name.toLowerCase()) : -1
  }

  #remove(name: string, from: number): void {
    const list = this.#list
    let to = from
    for (let at = from; at < list.length; at += 2) {
      if (list[at] === name) continue
      list[to] = list[at]!
      list[to + 1] = list[at + 1]!
      to += 2
    }
    list.length = to
  }
}

function hasUpperCase(name: string): boolean {
  for (let index = 0; index < name.length; index += 1) {
    const code = name.charCodeAt(index)
    if (code >= UPPER_A && code <= UPPER_Z) return true
  }
  return false
}

/** Text, such as a configuration has it, as the byte string that a value is: in UTF-8. */
export function utf8Value(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** In lower case. */
function checkName(name: string): string {
  if (isCommonName(name)) return name
  if (name.length === 0 || !consistsOf(TOKEN, name)) notEncodable('field name', name)
  return name.toLowerCase()
}

function checkValue(name: string, value: string): void {
  if (!consistsOf(FIELD_VALUE, value)) notEncodable(`value of ${name}`, value)
}

function notEncodable(what: string, text: string): never {
  throw new HttpCodecError('NOT_ENCODABLE', {}, `${what} ${JSON.stringify(text)}`)
}
