import { Buffer } from 'node:buffer'
import { STATUS_CODES } from 'node:http'
import { assert } from '@ambient-lab/std'
import { latin1Bytes, putLatin1 } from '../latin1.ts'
import { consistsOf, FIELD_VALUE, TARGET, TOKEN } from './characters.ts'
import { HttpCodecError } from './errors.ts'
import type { BodyFraming } from './head-facts.ts'
import { COMMON_NAMES } from './header-names.ts'
import type { HeaderMap } from './headers.ts'
import { isHopByHop } from './hop-by-hop.ts'
import { CHUNK_COPIED_BYTES_MAX } from './limits.ts'

/** Where an encoder writes: the half of a ByteStream that it needs. */
export interface ByteWriter {
  /** @returns false when the caller should wait for room */
  write(chunk: Uint8Array): boolean
  /** As `write`, of text whose characters are bytes. */
  writeText?(text: string): boolean
}

/** What is said about a body before it is sent. The encoder writes the fields for it; those in `headers` are left out. */
export interface OutgoingBody {
  readonly framing: BodyFraming
  /** Bytes, when `framing` is `length`. */
  readonly contentLength: number
}

export interface OutgoingRequest extends OutgoingBody {
  readonly method: string
  /** Path and query, `*`, or an authority. */
  readonly target: string
  /** With Host. Fields of the connection (Connection, Keep-Alive, Upgrade, …) are left out. */
  readonly headers: HeaderMap
  /** @default true */
  readonly keepAlive?: boolean
  /** A protocol to ask for. */
  readonly upgrade?: string | undefined
}

export interface OutgoingResponse extends OutgoingBody {
  readonly status: number
  /** @default the registry's */
  readonly reason?: string
  readonly headers: HeaderMap
  /** What it answers: a response to HEAD has no body, HTTP/1.0 knows no chunks. */
  readonly request: { readonly method: string; readonly version: '1.0' | '1.1' }
  readonly keepAlive: boolean
  /** The protocol that follows a 101. */
  readonly upgrade?: string | undefined
}

const CRLF = Buffer.from('\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** A head, its fields and what the encoder adds. @param firstLine without its end @param own lines with their ends */
function serialize(firstLine: string, headers: HeaderMap, own: string): string {
  let text = firstLine
  const { size } = headers
  for (let index = 0; index < size; index += 1) {
    const name = headers.nameAt(index)
    const beginning = COMMON_BEGINNINGS.get(name) ?? beginningOf(name)
    if (beginning !== '') text += beginning + headers.valueAt(index)
  }
  return `${text}\r\n${own}\r\n`
}

/** How the line of a field begins, behind the one before it; empty of a field that the encoder writes by itself. */
function beginningOf(name: string): string {
  return isOwnField(name) ? '' : `\r\n${name}: `
}

/** A head is joined of half as many pieces when those of the usual fields stand. */
const COMMON_BEGINNINGS: ReadonlyMap<string, string> = new Map(COMMON_NAMES.map((name) => [name, beginningOf(name)]))

/** Fields that the encoder writes by itself, so that none of them is there twice or says something else. */
function isOwnField(name: string): boolean {
  return isHopByHop(name) || name === 'content-length'
}

/** Writes bodies; one message at a time. Payload is lent to the writer, not copied, except for small chunks. */
abstract class MessageEncoder {
  readonly #writer: ByteWriter
  #framing: BodyFraming = 'none'
  #left = 0
  #open = false

  constructor(writer: ByteWriter) {
    this.#writer = writer
  }

  /** A head was written, the end was not. */
  get open(): boolean {
    return this.#open
  }

  /**
   * A piece of the body; the caller must not touch it any more. Of a message that has no body (the answer to HEAD) it
   * is dropped.
   * @returns false when the caller should wait for room
   */
  writeBody(piece: Uint8Array): boolean {
    assert(this.#open, 'a body without a head')
    const { length } = piece
    if (length === 0 || this.#framing === 'none') return true
    if (this.#framing === 'chunked') return this.#writeChunk(piece)
    if (this.#framing === 'length') {
      // One byte more would be the beginning of another message.
      assert(length <= this.#left, 'a body is longer than was said')
      this.#left -= length
    }
    return this.#writer.write(piece)
  }

  /**
   * The body is complete.
   * @param trailers dropped where there is no room for them: after bodies that are not chunked
   */
  end(trailers?: HeaderMap): boolean {
    assert(this.#open, 'an end without a head')
    assert(this.#framing !== 'length' || this.#left === 0, 'a body is shorter than was said')
    this.#open = false
    if (this.#framing !== 'chunked') return true
    if (trailers === undefined || trailers.size === 0) return this.#writer.write(LAST_CHUNK)
    return this.write(serialize('0', trailers, ''))
  }

  protected begin(head: string, { framing, contentLength }: OutgoingBody): boolean {
    assert(!this.#open, 'a head within a message')
    this.#open = true
    this.#framing = framing
    this.#left = contentLength
    return this.write(head)
  }

  protected write(text: string): boolean {
    const writer = this.#writer
    return writer.writeText ? writer.writeText(text) : writer.write(latin1Bytes(text))
  }

  #writeChunk(piece: Uint8Array): boolean {
    const line = `${piece.length.toString(16)}\r\n`
    if (piece.length > CHUNK_COPIED_BYTES_MAX) {
      this.write(line)
      this.#writer.write(piece)
      return this.#writer.write(CRLF)
    }
    const bytes = Buffer.allocUnsafe(line.length + piece.length + 2)
    bytes.set(piece, putLatin1(bytes, 0, line))
    bytes[bytes.length - 2] = 13
    bytes[bytes.length - 1] = 10
    return this.#writer.write(bytes)
  }
}

/** The requests of a connection to an upstream, one after the other. */
export class RequestEncoder extends MessageEncoder {
  /** @throws HttpCodecError NOT_ENCODABLE */
  writeHead(request: OutgoingRequest): boolean {
    const { method, target, headers, framing, contentLength, keepAlive = true, upgrade } = request
    assert(framing !== 'until-close', 'a request that ends with its connection could not be answered')
    if (!consistsOf(TOKEN, method) || method === '') notEncodable('method', method)
    if (!consistsOf(TARGET, target) || target === '') notEncodable('target', target)
    const own = `${framingField(request, !BODILESS_METHODS.has(method))}${connectionField(keepAlive, upgrade, '')}`
    return this.begin(serialize(`${method} ${target} HTTP/1.1`, headers, own), { framing, contentLength })
  }
}

/** The responses of a connection from a client, one after the other. */
export class ResponseEncoder extends MessageEncoder {
  /** 100 (Continue), or another 1xx that stands before the response. Not for 101: that is a response. */
  writeInterim(status: number, headers?: HeaderMap): boolean {
    assert(status >= 100 && status < 200 && status !== 101, 'an interim response has a status of 1xx')
    assert(!this.open, 'a head within a message')
    const line = statusLine(status, undefined)
    return this.write(headers === undefined ? `${line}\r\n\r\n` : serialize(line, headers, ''))
  }

  /**
   * For a client of HTTP/1.0, which has no chunks, a chunked body ends with the connection.
   * @returns whether there is room for more; see `closes`
   * @throws HttpCodecError NOT_ENCODABLE
   */
  writeHead(response: OutgoingResponse): boolean {
    const { status, reason, headers, request, upgrade } = response
    const isOld = request.version === '1.0'
    const framing = response.framing === 'chunked' && isOld ? 'until-close' : response.framing
    const keepAlive = response.keepAlive && framing !== 'until-close'
    this.#closes = !keepAlive
    const own =
      this.#bodyFields(response, framing) +
      connectionField(keepAlive, upgrade, isOld ? 'connection: keep-alive\r\n' : '')
    const body = { framing: hasBody(status, request.method) ? framing : 'none', contentLength: response.contentLength }
    return this.begin(serialize(statusLine(status, reason), headers, own), body as OutgoingBody)
  }

  /** The connection has to be closed when the response that was begun last has ended. */
  get closes(): boolean {
    return this.#closes
  }

  #closes = false

  #bodyFields(response: OutgoingResponse, framing: BodyFraming): string {
    const { status, headers, request } = response
    if (status < 200 || status === 204 || (request.method === 'CONNECT' && status < 300)) return ''
    if (framing !== 'none') return framingField({ framing, contentLength: response.contentLength }, true)
    if (request.method !== 'HEAD' && status !== 304) return 'content-length: 0\r\n'
    // They say how long the body would have been.
    const length = headers.get('content-length')
    return length === undefined ? '' : `content-length: ${length}\r\n`
  }
}

function framingField({ framing, contentLength }: OutgoingBody, canHaveBody: boolean): string {
  if (framing === 'chunked') return 'transfer-encoding: chunked\r\n'
  if (framing === 'length') return `content-length: ${contentLength}\r\n`
  return framing === 'none' && canHaveBody ? 'content-length: 0\r\n' : ''
}

function connectionField(keepAlive: boolean, upgrade: string | undefined, keepAliveField: string): string {
  if (upgrade !== undefined) {
    if (!consistsOf(FIELD_VALUE, upgrade)) notEncodable('upgrade', upgrade)
    return `connection: upgrade\r\nupgrade: ${upgrade}\r\n`
  }
  return keepAlive ? keepAliveField : 'connection: close\r\n'
}

/** Methods that need no `content-length: 0` to say that they have no body, as Envoy has it. */
const BODILESS_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE'])

function hasBody(status: number, method: string): boolean {
  return method !== 'HEAD' && status >= 200 && status !== 204 && status !== 304
}

const statusLines = new Map<number, string>()

function statusLine(status: number, reason: string | undefined): string {
  if (reason !== undefined) {
    if (!consistsOf(FIELD_VALUE, reason)) notEncodable('reason', reason)
    return `HTTP/1.1 ${status} ${reason}`
  }
  const known = statusLines.get(status)
  if (known !== undefined) return known
  if (!Number.isInteger(status) || status < 100 || status > 999) notEncodable('status', String(status))
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}`
  statusLines.set(status, line)
  return line
}

function notEncodable(what: string, text: string): never {
  throw new HttpCodecError('NOT_ENCODABLE', {}, `${what} ${JSON.stringify(text)}`)
}
