import { Refusal } from '../http1/errors.ts'
import { contentLengthOf } from '../http1/head-facts.ts'
import { HeaderMap } from '../http1/headers.ts'
import { HEAD_BYTES_MAX, HEADERS_MAX } from '../http1/limits.ts'
import { FIELD_KIND } from './field-kinds.ts'
import type { FieldSink } from './hpack-decoder.ts'
import { ENTRY_OVERHEAD_BYTES } from './static-table.ts'

/**
 * One header block as it is decoded, and what RFC 9113 §8 has to say about it: pseudo fields apart, the others as a list.
 * One for each connection, used again and again. What is wrong is noted, not thrown: the block has to be decoded to its
 * end in any case, since the next one depends on its table.
 */
export class MessageFields implements FieldSink {
  method: string | undefined
  scheme: string | undefined
  authority: string | undefined
  path: string | undefined
  status: string | undefined
  host: string | undefined
  /** -1 when there is none. */
  contentLength = -1
  expectContinue = false
  /** RFC 9113 §8.1.1: the stream is reset. */
  malformed = false
  /** More than the limits of HTTP/1.1's heads allow. */
  tooLarge = false
  #list: string[] = []
  #neverIndexed: string[] | undefined
  #bytes = 0
  #cookieAt = -1
  #hasPseudo = false

  begin(): void {
    this.method = undefined
    this.scheme = undefined
    this.authority = undefined
    this.path = undefined
    this.status = undefined
    this.host = undefined
    this.contentLength = -1
    this.expectContinue = false
    this.malformed = false
    this.tooLarge = false
    this.#list = []
    this.#neverIndexed = undefined
    this.#bytes = 0
    this.#cookieAt = -1
    this.#hasPseudo = false
  }

  /** Whether there is any field whose name begins with a colon. */
  get hasPseudo(): boolean {
    return this.#hasPseudo
  }

  /**
   * The fields that are no pseudo fields. To be asked once: the list is the map's from then on.
   * @param host what `:authority` says, for those who look for Host
   */
  takeHeaders(host = ''): HeaderMap {
    if (host !== '' && this.host === undefined) this.#list.push('host', host)
    const headers = HeaderMap.ofJudged(this.#list)
    if (this.#neverIndexed) headers.neverIndexed = this.#neverIndexed
    return headers
  }

  add(name: string, value: string, kind: number, isSensitive: boolean): void {
    this.#bytes += name.length + value.length + ENTRY_OVERHEAD_BYTES
    const list = this.#list
    if (this.#bytes > HEAD_BYTES_MAX || list.length === 2 * HEADERS_MAX) {
      this.tooLarge = true
      return
    }
    if (kind !== FIELD_KIND.NORMAL && this.#isTaken(name, value, kind)) return
    list.push(name, value)
    if (isSensitive) {
      this.#neverIndexed ??= []
      this.#neverIndexed.push(name)
    }
  }

  /** @returns whether it is none of the list */
  #isTaken(_name: string, value: string, kind: number): boolean {
    switch (kind) {
      case FIELD_KIND.METHOD:
        this.#takePseudo(this.method)
        this.method = value
        return true
      case FIELD_KIND.SCHEME:
        this.#takePseudo(this.scheme)
        this.scheme = value
        return true
      case FIELD_KIND.AUTHORITY:
        this.#takePseudo(this.authority)
        this.authority = value
        return true
      case FIELD_KIND.PATH:
        this.#takePseudo(this.path)
        this.path = value
        return true
      case FIELD_KIND.STATUS:
        this.#takePseudo(this.status)
        this.status = value
        return true
      case FIELD_KIND.HOST:
        if (this.host !== undefined) this.malformed = true
        this.host = value
        return false
      case FIELD_KIND.CONTENT_LENGTH:
        this.#takeLength(value)
        return false
      case FIELD_KIND.TE:
        if (value !== 'trailers') this.malformed = true
        return false
      case FIELD_KIND.COOKIE:
        return this.#joinCookie(value)
      case FIELD_KIND.EXPECT:
        if (value.toLowerCase() === '100-continue') this.expectContinue = true
        return false
      default:
        this.malformed = true
        return true
    }
  }

  /** RFC 9113 §8.3: before all others, and once. */
  #takePseudo(before: string | undefined): void {
    this.#hasPseudo = true
    if (before !== undefined || this.#list.length > 0) this.malformed = true
  }

  #takeLength(value: string): void {
    if (this.contentLength >= 0) this.malformed = true
    try {
      this.contentLength = contentLengthOf(value)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.malformed = true
    }
  }

  /** RFC 9113 §8.2.3: what was cut for the sake of compression is one field to everybody else. */
  #joinCookie(value: string): boolean {
    if (this.#cookieAt < 0) {
      this.#cookieAt = this.#list.length + 1
      return false
    }
    this.#list[this.#cookieAt] += `; ${value}`
    return true
  }
}
