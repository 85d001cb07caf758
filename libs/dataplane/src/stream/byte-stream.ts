import type { CodedError } from '@ambient-lab/std'

/**
 * One bidirectional byte stream: a socket, a stream of a tunnel, or a pair in memory. The one stream interface of the
 * data path; made for moving bytes without copying them and without an allocation per chunk besides the chunk.
 *
 * Rules, all checked by `byte-stream.conformance.ts`:
 * - Nothing is delivered before `start`; `start` is called once.
 * - The two directions end separately. `end()` half-closes ours; `onEnd` tells that the peer half-closed its own.
 * - `write` after `end` or after `onClose` is a bug on an open stream and ignored on a closed one.
 * - A stream whose two directions ended closes by itself.
 * - `onClose` comes exactly once, last, and never from inside `write`, `end`, `reset` or `start`.
 */
export interface ByteStream {
  /** Begins delivery to `sink`. */
  start(sink: ByteSink): void
  /**
   * Lends `chunk` to the stream: the caller must not touch it again until `bufferedBytes` is 0.
   * @returns false from the moment when the high mark is reached until `onDrain`. Writing on all the same is allowed,
   * and bounded only by the caller.
   */
  write(chunk: Uint8Array): boolean
  /**
   * As `write`, of a chunk that the caller takes back at once: what the stream cannot send now it copies. Streams that
   * have it spare a fast path its allocations; the function `writeBorrowed` serves those that do not.
   */
  writeBorrowed?(chunk: Uint8Array): boolean
  /** As `write`, of text whose characters are bytes (Latin-1): a head leaves without a buffer of its own. */
  writeText?(text: string): boolean
  /** No more bytes from us (TCP FIN). The peer may still send. */
  end(): void
  /** Stops delivery after the current chunk, so that the peer is held back; idempotent. */
  pause(): void
  resume(): void
  /** Ends both directions at once, dropping what is queued (TCP RST). */
  reset(reason: CodedError): void
  /** Bytes accepted by `write` and not yet given to the layer below. */
  readonly bufferedBytes: number
}

export interface ByteSink {
  /** The chunk is the sink's to keep or hand on; it is a view, and others may hold views beside it. */
  onData(chunk: Uint8Array): void
  /**
   * A sink that has this may get its bytes here instead of in `onData`: as a chunk that is overwritten when the call
   * returns. Streams lend what they read into memory that is used again and again.
   */
  onBorrowed?(chunk: Uint8Array): void
  /** The peer will send no more. */
  onEnd(): void
  /** What was buffered fell below the low mark. */
  onDrain(): void
  /** The stream is gone; `reason` is undefined when both directions ended in order. */
  onClose(reason: CodedError | undefined): void
}

// `new Uint8Array(chunk)` and not `chunk.slice()`: that of a Buffer is no copy.

/** Writes a chunk that is somebody else's again when this returns. Returns what `write` does. */
export function writeBorrowed(stream: ByteStream, chunk: Uint8Array): boolean {
  return stream.writeBorrowed ? stream.writeBorrowed(chunk) : stream.write(new Uint8Array(chunk))
}

/** Hands a borrowed chunk on to a sink, as it prefers to have it. */
export function deliverBorrowed(sink: ByteSink, chunk: Uint8Array): void {
  if (sink.onBorrowed) sink.onBorrowed(chunk)
  else sink.onData(new Uint8Array(chunk))
}
