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
