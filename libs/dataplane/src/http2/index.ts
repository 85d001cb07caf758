export {
  type Http2ClientOwner,
  Http2ClientSession,
  type Http2ClientStream,
  type Http2ResponseSink,
} from './client-session.ts'
export { HTTP2_ERROR } from './errors.ts'
export { FrameReader, type FrameSink } from './frame-reader.ts'
export { type FieldSink, HpackDecoder } from './hpack-decoder.ts'
export type { Http2SessionComponents, Http2SessionInit } from './http2-session-init.ts'
export type { Http2Stream, Http2StreamSink, StreamFailure } from './http2-stream.ts'
export { STALLED_LOOKS_MAX } from './limits.ts'
export {
  type Http2OutgoingResponse,
  type Http2RequestHandler,
  type Http2RequestHead,
  Http2ServerSession,
} from './server-session.ts'
