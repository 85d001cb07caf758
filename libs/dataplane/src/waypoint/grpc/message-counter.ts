const PREFIX_BYTES = 5

/**
 * Counts the messages of one direction of a gRPC call: a byte of flags, four of length, the payload, and so on. It looks
 * at the prefixes alone, however they are cut, and steps over payloads without touching them. As Envoy counts, a message
 * that has begun is one.
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export class GrpcMessageCounter {
  #count = 0
  #taken = 0
  /** Of the prefix that is being read. */
  #prefixBytes = 0
  #length = 0
  /** Of the payload that is passing. */
  #left = 0

  get count(): number {
    return this.#count
  }

  /** Messages since this was asked last. */
  takeNew(): number {
    const count = this.#count - this.#taken
    this.#taken = this.#count
    return count
  }

  add(piece: Uint8Array): void {
    let at = 0
    while (at < piece.length) {
      if (this.#left > 0) {
        const passing = Math.min(this.#left, piece.length - at)
        this.#left -= passing
        at += passing
      } else {
        this.#readPrefix(piece[at]!)
        at += 1
      }
    }
  }

  #readPrefix(byte: number): void {
    if (this.#prefixBytes === 0) this.#count += 1
    else this.#length = this.#length * 256 + byte
    this.#prefixBytes += 1
    if (this.#prefixBytes < PREFIX_BYTES) return
    this.#left = this.#length
    this.#length = 0
    this.#prefixBytes = 0
  }
}
