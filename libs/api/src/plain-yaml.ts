import { NESTING_MAX } from './limits.ts'

/** One document of a text, read. */
export interface PlainDocument {
  readonly value: unknown
  /** Of its first character that is no comment, in the text. */
  readonly offset: number
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
}

/** Thrown inside, never out: the text has something that only the library reads. */
const NOT_PLAIN = Symbol('not plain')

/** Ends a document, wherever it stands. */
const MARKER = /^---[ ]*$/
/** Words alone: a key of another shape may be a number, a merge, an anchor, or quoted. */
const KEY = /^([A-Za-z_][A-Za-z0-9_./-]*):(?: +(.*))?$/
/** No indicator in front, no `: ` and no ` #` inside; what begins with a digit is looked at by itself. */
const WORDS = /^[A-Za-z/_](?:[A-Za-z0-9 _./@+=,-]|:(?=[^ ]))*$/
const INTEGER = /^(?:0|-?[1-9][0-9]{0,14})$/
/** Begin with digits and are no numbers in any reading: addresses, durations, quantities. */
const DIGITS_FIRST = /^(?:\d+\.\d+\.\d+\.\d+(?:\/\d+)?|\d+(?:ms|s|m|h|Ki|Mi|Gi))$/
/** YAML 1.1's words for booleans and null, as anybody may write them. */
const RESERVED = /^(?:y|n|yes|no|on|off|true|false|null)$/i
const DOUBLE_QUOTED = /^"([^"\\]*)"$/
const SINGLE_QUOTED = /^'([^']*)'$/
/** Seen nowhere in a plain text: tabs, carriage returns, what is not printable. */
const UNUSUAL = /[^\n\x20-\x7e]/

/**
 * Reads the YAML that machines and most people write: blocks of words, integers and quoted strings, one to a line. It is
 * ten times as fast as a whole reader, and stands in front of one: whatever is not that plain (a flow, a block scalar, an
 * anchor, a tag, a key that is there twice, a comment behind a value) makes it answer nothing at all.
 * @returns the documents that hold something; undefined: ask the library
 */
export function readPlainYaml(text: string): readonly PlainDocument[] | undefined {
  if (UNUSUAL.test(text)) return undefined
  try {
    return new PlainReader(text).documents()
  } catch (error) {
    if (error === NOT_PLAIN) return undefined
    throw error
  }
}

class PlainReader {
  readonly #text: string
  /** Of the line in hand: where it starts, its number, its indentation, and the rest of it without trailing spaces. */
  #start = 0
  #number = 0
  #indent = -1
  #content = ''
  #next = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  documents(): PlainDocument[] {
    const documents: PlainDocument[] = []
    this.#advance()
    while (this.#indent >= 0) {
      if (this.#isMarker()) {
        this.#advance()
        continue
      }
      const offset = this.#start + this.#indent
      const place = { offset, line: this.#number, column: this.#indent + 1 }
      const value = this.#block(this.#indent)
      if (this.#indent >= 0 && !this.#isMarker()) throw NOT_PLAIN
      documents.push({ value, ...place })
    }
    return documents
  }

  /** To the next line that is neither empty nor a comment; an indentation of -1 is the end. */
  #advance(): void {
    const text = this.#text
    for (;;) {
      if (this.#next >= text.length) {
        this.#indent = -1
        this.#content = ''
        return
      }
      const start = this.#next
      const newline = text.indexOf('\n', start)
      const end = newline < 0 ? text.length : newline
      this.#next = end + 1
      this.#number += 1
      let from = start
      while (from < end && text.charCodeAt(from) === 0x20) from += 1
      if (from === end || text.charCodeAt(from) === 0x23) continue
      let to = end
      while (text.charCodeAt(to - 1) === 0x20) to -= 1
      this.#start = start
      this.#indent = from - start
      this.#content = text.slice(from, to)
      return
    }
  }

  #isMarker(): boolean {
    return this.#indent === 0 && MARKER.test(this.#content)
  }

  /** The collection whose entries are indented so. */
  #block(indent: number): unknown {
    this.#depth += 1
    if (this.#depth > NESTING_MAX) throw NOT_PLAIN
    const value = isItem(this.#content) ? this.#sequence(indent) : this.#mapping(indent)
    this.#depth -= 1
    return value
  }

  #mapping(indent: number): Record<string, unknown> {
    const entries: Record<string, unknown> = {}
    while (this.#indent === indent && !this.#isMarker()) {
      const match = KEY.exec(this.#content)
      if (!match) throw NOT_PLAIN
      const key = match[1]!
      if (key === '__proto__' || RESERVED.test(key) || Object.hasOwn(entries, key)) throw NOT_PLAIN
      const rest = match[2] ?? ''
      this.#advance()
      entries[key] = rest === '' ? this.#valueBelow(indent) : this.#scalar(rest, indent)
    }
    return entries
  }

  /** Of a key with nothing behind it; a sequence may stand as far left as its key. */
  #valueBelow(indent: number): unknown {
    if (this.#indent > indent) return this.#block(this.#indent)
    if (this.#indent === indent && isItem(this.#content)) return this.#block(indent)
    return null
  }

  #sequence(indent: number): unknown[] {
    const items: unknown[] = []
    while (this.#indent === indent && isItem(this.#content)) items.push(this.#item(indent))
    return items
  }

  #item(indent: number): unknown {
    let from = 1
    while (this.#content.charCodeAt(from) === 0x20) from += 1
    const rest = this.#content.slice(from)
    if (isItem(rest) || rest === '') throw NOT_PLAIN
    if (KEY.test(rest)) {
      // The mapping's first entry is on this line: the line goes on as if the dash were a space.
      this.#indent = indent + from
      this.#content = rest
      return this.#block(this.#indent)
    }
    this.#advance()
    return this.#scalar(rest, indent)
  }

  /** A line that is indented more than the one before would go on with its value. */
  #scalar(text: string, indent: number): unknown {
    if (this.#indent > indent) throw NOT_PLAIN
    if (WORDS.test(text)) {
      if (!RESERVED.test(text)) return text
      if (text === 'true') return true
      if (text === 'false') return false
      throw NOT_PLAIN
    }
    if (INTEGER.test(text)) return Number(text)
    if (DIGITS_FIRST.test(text)) return text
    if (text === '{}') return {}
    if (text === '[]') return []
    const quoted = DOUBLE_QUOTED.exec(text) ?? SINGLE_QUOTED.exec(text)
    if (quoted) return quoted[1]
    throw NOT_PLAIN
  }
}

function isItem(content: string): boolean {
  return content.startsWith('- ') || content === '-'
}
