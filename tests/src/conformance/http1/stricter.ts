import type { HttpCodecErrorCode } from '@ambient-lab/dataplane'

/** A message that llhttp reads and we refuse. */
export interface Stricter {
  readonly code: HttpCodecErrorCode
  readonly why: string
}

const RTSP: Stricter = {
  code: 'VERSION_UNSUPPORTED',
  why: 'RTSP and ICE are not HTTP; llhttp reads them for media servers',
}
const FRAGMENT: Stricter = {
  code: 'TARGET_FRAGMENT',
  why: 'RFC 9112 §3.2 has no fragment in a target; Envoy refuses it too, since policies and upstreams cut it differently',
}

/** Case → how and why we are stricter than llhttp. Requests without Host are not here: the judge gives them one. */
export const STRICTER: Readonly<Record<string, Stricter>> = {
  'request/method/089': RTSP,
  'request/method/090': RTSP,
  'request/uri/163': FRAGMENT,
  'request/uri/165': {
    code: 'TARGET_INVALID',
    why: 'RFC 9110 §4.2.4: user information in a target is an error, it hides the host that is meant',
  },
  'response/connection/176': {
    code: 'CONTENT_LENGTH_NOT_ALLOWED',
    why: 'RFC 9110 §8.6: no length in a 1xx; llhttp ignores it, others read a body; Envoy refuses it',
  },
  'response/connection/177': {
    code: 'TRANSFER_ENCODING_NOT_ALLOWED',
    why: 'RFC 9112 §6.1: no transfer coding in a 1xx; Envoy refuses it',
  },
  'response/sample/223': RTSP,
  'response/sample/224': RTSP,
  'response/sample/239': {
    code: 'VERSION_UNSUPPORTED',
    why: 'HTTP/0.9 has no status line: whoever sends one is broken',
  },
  'response/transfer-encoding/243': {
    code: 'TRANSFER_ENCODING_UNSUPPORTED',
    why: 'chunked is not last: RFC 9112 §6.3 reads until the end, others read chunks; Envoy refuses it',
  },
  'response/transfer-encoding/245': {
    code: 'TRANSFER_ENCODING_UNSUPPORTED',
    why: 'an unknown coding: we could not tell the next one where the body ends',
  },
}
