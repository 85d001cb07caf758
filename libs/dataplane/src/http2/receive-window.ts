/** What a peer may send to us on a connection: granted again as it is taken by those whom it was for. */
export class ReceiveWindow {
  readonly #bytes: number
  #left: number
  #consumed = 0

  constructor(bytes: number) {
    this.#bytes = bytes
    this.#left = bytes
  }

  /** DATA comes. @returns false when it is more than was granted */
  take(bytes: number): boolean {
    this.#left -= bytes
    return this.#left >= 0
  }

  /** Somebody took it, or nobody will. @returns bytes to grant, 0 while they are not worth a frame */
  consume(bytes: number): number {
    this.#consumed += bytes
    if (2 * this.#consumed < this.#bytes) return 0
    const granted = this.#consumed
    this.#left += granted
    this.#consumed = 0
    return granted
  }
}
