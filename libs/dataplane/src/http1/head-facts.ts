import { Refusal } from './errors.ts'
import type { HeadScanner } from './head-scanner.ts'
import { FIELD } from './header-names.ts'
import { HeaderMap } from './headers.ts'

/** How the end of a body is found. */
export type BodyFraming = 'none' | 'length' | 'chunked' | 'until-close'

/** Options of a Connection field, as bits. */
export const CONNECTION = { KEEP_ALIVE: 1, CLOSE: 2, UPGRADE: 4 } as const

const DIGIT_0 = 48

/** What the fields of a head say about its framing, read in one pass; one for each decoder, used again and again. */
export class HeadFacts {
  headers: HeaderMap = new HeaderMap()
  /** Undefined when there is none. */
  host: string | undefined
  /** Index of Host among the fields. */
  hostAt = -1
  /** -1 when there is none. */
  contentLength = -1
  hasTransferEncoding = false
  /** Bits of CONNECTION, of Connection and of its old name, Proxy-Connection. */
  connection = 0
  /** Of the field Upgrade, whatever Connection says. */
  upgrade: string | undefined
  expectContinue = false
  /** Name, value, name, value: what `headers` is made of. */
  #list: string[] = []

  /**
   * @param text the head in Latin-1, so that positions are the scanner's
   * @throws Refusal of what no message may have: two Hosts, two lengths, two framings, another coding than chunked
   */
  read(scanner: HeadScanner, text: string): void {
    this.host = undefined
    this.hostAt = -1
    this.contentLength = -1
    this.hasTransferEncoding = false
    this.connection = 0
    this.upgrade = undefined
    this.expectContinue = false
    const { count, names, ids, valueStarts, valueEnds } = scanner
    const list = new Array<string>(2 * count)
    this.#list = list
    for (let index = 0; index < count; index += 1) {
      const value = text.substring(valueStarts[index]!, valueEnds[index]!)
      list[2 * index] = names[index]!
      list[2 * index + 1] = value
      const id = ids[index]!
      if (id === FIELD.OTHER || id > FIELD.EXPECT) continue
      this.#readField(id, index, value)
      if (id === FIELD.TRANSFER_ENCODING && isBeforeTab(text, valueEnds[index]!)) {
        throw new Refusal('TRANSFER_ENCODING_UNSUPPORTED')
      }
    }
    if (this.hasTransferEncoding && this.contentLength >= 0) throw new Refusal('LENGTH_AND_CHUNKED')
    this.headers = HeaderMap.ofJudged(list)
  }

  #readField(id: number, index: number, value: string): void {
    switch (id) {
      case FIELD.HOST:
        if (this.host !== undefined) throw new Refusal('HOST_INVALID')
        this.host = value
        this.hostAt = index
        return
      case FIELD.CONTENT_LENGTH:
        if (this.contentLength >= 0) throw new Refusal('CONTENT_LENGTH_INVALID')
        this.contentLength = contentLengthOf(value)
        // `007` may be an octal number to the next one in the chain.
        if (value.length > 1) this.#list[2 * index + 1] = String(this.contentLength)
        return
      case FIELD.TRANSFER_ENCODING:
        // One field, one coding: `chunked, chunked` and the like have been read in too many ways.
        if (this.hasTransferEncoding || value.toLowerCase() !== 'chunked') {
          throw new Refusal('TRANSFER_ENCODING_UNSUPPORTED')
        }
        this.hasTransferEncoding = true
        return
      case FIELD.CONNECTION:
      case FIELD.PROXY_CONNECTION:
        this.connection |= connectionOptionsOf(value)
        return
      case FIELD.UPGRADE:
        if (value === '') return
        this.upgrade = this.upgrade === undefined ? value : `${this.upgrade}, ${value}`
        return
      case FIELD.EXPECT:
        if (value.toLowerCase() === '100-continue') this.expectContinue = true
        return
    }
  }
}

/** A tab between a value and the end of its line: with it, llhttp does not see that the coding is chunked. */
function isBeforeTab(text: string, valueEnd: number): boolean {
  return text.slice(valueEnd, text.indexOf('\r', valueEnd)).includes('\t')
}

/** @throws Refusal CONTENT_LENGTH_INVALID for anything but digits, and for what is no exact number */
export function contentLengthOf(value: string): number {
  let length = 0
  for (let index = 0; index < value.length; index += 1) {
    const digit = value.charCodeAt(index) - DIGIT_0
    if (digit < 0 || digit > 9) throw new Refusal('CONTENT_LENGTH_INVALID')
    length = length * 10 + digit
    if (length > Number.MAX_SAFE_INTEGER) throw new Refusal('CONTENT_LENGTH_INVALID')
  }
  if (value.length === 0) throw new Refusal('CONTENT_LENGTH_INVALID')
  return length
}

export function connectionOptionsOf(value: string): number {
  if (value === 'keep-alive') return CONNECTION.KEEP_ALIVE
  if (value === 'close') return CONNECTION.CLOSE
  let options = 0
  for (const option of value.toLowerCase().split(',')) {
    const name = option.trim()
    if (name === 'keep-alive') options |= CONNECTION.KEEP_ALIVE
    else if (name === 'close') options |= CONNECTION.CLOSE
    else if (name === 'upgrade') options |= CONNECTION.UPGRADE
  }
  return options
}
