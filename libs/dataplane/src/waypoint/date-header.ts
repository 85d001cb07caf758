/** `Tue, 15 Nov 1994 08:12:31 GMT`, made once a second. */
export class DateHeader {
  #second = Number.NaN
  #text = ''

  text(nowMs: number): string {
    const second = Math.floor(nowMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#text = new Date(second * 1000).toUTCString()
    }
    return this.#text
  }
}

/** `1994-11-15T08:12:31.123Z`, whose first part is made once a second. */
export class IsoTime {
  #second = Number.NaN
  #prefix = ''

  text(nowMs: number): string {
    const second = Math.floor(nowMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#prefix = new Date(second * 1000).toISOString().slice(0, 20)
    }
    const ms = Math.floor(nowMs) - second * 1000
    return `${this.#prefix}${ms < 100 ? (ms < 10 ? '00' : '0') : ''}${ms}Z`
  }
}
