/** RFC 9113 §7. */
export const HTTP2_ERROR = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const

/** What a kind of breach means, and the code that the peer is told. */
export interface Http2FaultKind {
  readonly code: number
  readonly meaning: string
}

const { PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR } = HTTP2_ERROR
const { COMPRESSION_ERROR, ENHANCE_YOUR_CALM } = HTTP2_ERROR

/** Every reason to end a connection. The meaning goes into the GOAWAY, for whoever looks for what is wrong. */
export const HTTP2_FAULTS = {
  // Frames.
  PREFACE_INVALID: kind(PROTOCOL_ERROR, 'the connection does not begin with the preface and SETTINGS'),
  FRAME_TOO_LARGE: kind(FRAME_SIZE_ERROR, 'a frame is larger than SETTINGS_MAX_FRAME_SIZE'),
  FRAME_SIZE_INVALID: kind(FRAME_SIZE_ERROR, 'a frame has not the size of its type'),
  FRAME_STREAM_INVALID: kind(PROTOCOL_ERROR, 'a frame is on a stream where its type cannot be'),
  PADDING_INVALID: kind(PROTOCOL_ERROR, 'the padding is longer than the frame'),
  HEADER_BLOCK_INTERRUPTED: kind(PROTOCOL_ERROR, 'another frame within a header block, or CONTINUATION without one'),
  SETTINGS_INVALID: kind(PROTOCOL_ERROR, 'a setting has a value that it cannot have'),
  WINDOW_SETTING_INVALID: kind(FLOW_CONTROL_ERROR, 'SETTINGS_INITIAL_WINDOW_SIZE is too large, or makes a window so'),
  PUSH_UNEXPECTED: kind(PROTOCOL_ERROR, 'PUSH_PROMISE where push is off'),
  // Streams.
  STREAM_IDLE: kind(PROTOCOL_ERROR, 'a frame for a stream that was never opened'),
  STREAM_ID_INVALID: kind(
    PROTOCOL_ERROR,
    'a new stream has the number of an earlier one, or one that is not its side’s',
  ),
  STREAM_OVER: kind(STREAM_CLOSED, 'HEADERS for a stream that is closed'),
  // Flow control.
  WINDOW_EXCEEDED: kind(FLOW_CONTROL_ERROR, 'more DATA than the window of the connection allows'),
  WINDOW_OVERFLOW: kind(FLOW_CONTROL_ERROR, 'the window of the connection becomes larger than 2^31-1'),
  WINDOW_INCREMENT_ZERO: kind(PROTOCOL_ERROR, 'WINDOW_UPDATE of nothing'),
  // HPACK.
  HPACK_INVALID: kind(COMPRESSION_ERROR, 'a header block cannot be decoded'),
  // More than anybody needs.
  HEADER_BLOCK_TOO_LARGE: kind(ENHANCE_YOUR_CALM, 'a header block is larger than the limit'),
  CONTINUATION_FLOOD: kind(ENHANCE_YOUR_CALM, 'a header block is in too many pieces'),
  RESET_FLOOD: kind(ENHANCE_YOUR_CALM, 'too many streams are opened and reset'),
  FRAME_FLOOD: kind(ENHANCE_YOUR_CALM, 'too many frames that carry nothing'),
  OUTPUT_NOT_READ: kind(ENHANCE_YOUR_CALM, 'answers are asked for and not read'),
} as const satisfies Readonly<Record<string, Http2FaultKind>>

export type Http2FaultName = keyof typeof HTTP2_FAULTS

/** A breach that ends the connection (RFC 9113 §5.4.1): thrown by the parts of a session, never leaves it. */
export class ConnectionFault extends Error {
  readonly fault: Http2FaultName

  constructor(fault: Http2FaultName) {
    super(HTTP2_FAULTS[fault].meaning)
    this.fault = fault
  }
}

function kind(code: number, meaning: string): Http2FaultKind {
  return { code, meaning }
}
