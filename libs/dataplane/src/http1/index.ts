export {
  type ByteWriter,
  type OutgoingBody,
  type OutgoingRequest,
  type OutgoingResponse,
  RequestEncoder,
  ResponseEncoder,
} from './encoder.ts'
export { HTTP_CODEC_ERRORS, HttpCodecError, type HttpCodecErrorCode, type HttpCodecErrorKind } from './errors.ts'
export type { BodyFraming } from './head-facts.ts'
export { HeaderMap, utf8Value } from './headers.ts'
export { removeHopByHop } from './hop-by-hop.ts'
export type { MessageDecoderInit, MessageHead, MessageSink } from './message-decoder.ts'
export { RequestDecoder, type RequestHead, type RequestSink } from './request-decoder.ts'
export { HTTP_METHODS } from './request-target.ts'
export { ResponseDecoder, type ResponseExpectation, type ResponseHead, type ResponseSink } from './response-decoder.ts'
