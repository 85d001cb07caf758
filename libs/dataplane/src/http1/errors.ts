import { CodedError, type CodedErrorInit } from '@ambient-lab/std'

/** What a kind of broken message means, how it is answered, and Envoy's word for it in `response_code_details`. */
export interface HttpCodecErrorKind {
  readonly meaning: string
  /** Of the answer to a request. A response that is broken is answered with 502, whatever this says. */
  readonly status: 400 | 431 | 501
  readonly details: string
}

const CODEC_ERROR = 'http1.codec_error'

/** Every code that the codec gives an error. Where Envoy has no word of its own, it is what its parser's errors get. */
export const HTTP_CODEC_ERRORS = {
  // The first line.
  METHOD_UNKNOWN: kind('the request line does not begin with a method of the HTTP registry', 400, CODEC_ERROR),
  TARGET_INVALID: kind('the request target has none of its four forms', 400, 'http1.invalid_url'),
  TARGET_SCHEME_INVALID: kind(
    'the request target is a URI that is neither http nor https',
    400,
    'http1.invalid_scheme',
  ),
  TARGET_FRAGMENT: kind('the request target has a fragment', 400, 'path_normalization_failed'),
  VERSION_UNSUPPORTED: kind('the message is neither HTTP/1.1 nor HTTP/1.0', 400, CODEC_ERROR),
  STATUS_LINE_INVALID: kind('the status line has no status of three digits', 400, CODEC_ERROR),
  // Fields.
  LINE_END_INVALID: kind('a line ends without CR LF, or a CR stands alone', 400, CODEC_ERROR),
  HEADER_NAME_INVALID: kind('a field name is empty or has a character that is not of a token', 400, CODEC_ERROR),
  HEADER_VALUE_INVALID: kind('a field value has a control character', 400, 'http1.invalid_characters'),
  HEADER_FOLDED: kind('a line begins with white space: folded fields are obsolete', 400, CODEC_ERROR),
  HEAD_TOO_LARGE: kind('the head or the trailers are longer than the limit', 431, 'http1.headers_too_large'),
  TOO_MANY_HEADERS: kind('the head or the trailers have more fields than the limit', 431, 'http1.too_many_headers'),
  HOST_MISSING: kind('a request of HTTP/1.1 has no Host', 400, 'missing_host_header'),
  HOST_INVALID: kind('there are two Hosts, or one that is no authority', 400, 'http.invalid_authority'),
  // Framing.
  CONTENT_LENGTH_INVALID: kind('Content-Length is no number, or too large, or there are two', 400, CODEC_ERROR),
  CONTENT_LENGTH_NOT_ALLOWED: kind('a response that has no body has a length', 400, 'http1.content_length_not_allowed'),
  LENGTH_AND_CHUNKED: kind('two framings in one message', 400, 'http1.content_length_and_chunked_not_allowed'),
  TRANSFER_ENCODING_UNSUPPORTED: kind('a transfer coding other than chunked', 501, 'http1.invalid_transfer_encoding'),
  TRANSFER_ENCODING_NOT_ALLOWED: kind(
    'a transfer coding where none may be: HTTP/1.0, 1xx, 204, the answer to CONNECT',
    400,
    'http1.transfer_encoding_not_allowed',
  ),
  BODY_DISALLOWED: kind('a CONNECT announces a body', 400, 'http1.body_disallowed'),
  CHUNK_INVALID: kind(
    'a chunk has no size, a size that is too large, or does not end where it should',
    400,
    CODEC_ERROR,
  ),
  CHUNK_EXTENSION_INVALID: kind('the extensions of a chunk are malformed or too long', 400, CODEC_ERROR),
  TRAILER_INVALID: kind('a field among the trailers that frames or routes the message', 400, CODEC_ERROR),
  // The order of things.
  MESSAGE_INCOMPLETE: kind('the peer stopped sending within a message', 400, CODEC_ERROR),
  RESPONSE_MISSING: kind('the upstream stopped sending before it answered', 400, CODEC_ERROR),
  INTERIM_INVALID: kind('a 1xx that is to be the last of its connection, or is of HTTP/1.0', 400, CODEC_ERROR),
  RESPONSE_UNEXPECTED: kind('the upstream sends what no request asked for', 400, CODEC_ERROR),
  // Ours, never a peer's.
  NOT_ENCODABLE: kind('a method, target, field or reason that would not stay what it is on the wire', 400, CODEC_ERROR),
} as const satisfies Readonly<Record<string, HttpCodecErrorKind>>

export type HttpCodecErrorCode = keyof typeof HTTP_CODEC_ERRORS

/** A message that is refused. Its connection has no use any more but for an answer. */
export class HttpCodecError extends CodedError {
  declare readonly code: HttpCodecErrorCode
  /** To answer a request with. */
  readonly status: HttpCodecErrorKind['status']
  /** Envoy's `response_code_details`. */
  readonly details: string

  constructor(code: HttpCodecErrorCode, init: CodedErrorInit, message: string = HTTP_CODEC_ERRORS[code].meaning) {
    super(code, message, init)
    this.status = HTTP_CODEC_ERRORS[code].status
    this.details = HTTP_CODEC_ERRORS[code].details
  }
}

/** How the parts of a decoder tell it that a message is refused; never leaves the decoder. */
export class Refusal extends Error {
  readonly code: HttpCodecErrorCode

  constructor(code: HttpCodecErrorCode) {
    super(code)
    this.code = code
  }
}

function kind<const D extends string>(meaning: string, status: HttpCodecErrorKind['status'], details: D) {
  return { meaning, status, details }
}
