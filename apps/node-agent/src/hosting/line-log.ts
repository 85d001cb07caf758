import { Ring } from '@ambient-lab/std'
import { LOG_LINE_BYTES_MAX, LOG_LINES_MAX } from '../limits.ts'

/** The last lines that something wrote; takes whole lines or raw output. */
export class LineLog {
  readonly #lines = new Ring<string>(LOG_LINES_MAX)
  #partial = ''

  push(line: string): void {
    this.#lines.push(line.length > LOG_LINE_BYTES_MAX ? `${line.slice(0, LOG_LINE_BYTES_MAX)}…` : line)
  }

  /** Any piece of output; a line counts when its end came, or when it grew too long to wait. */
  write(output: string): void {
    const lines = (this.#partial + output).split('\n')
    this.#partial = lines.pop()!
    for (const line of lines) this.push(line.endsWith('\r') ? line.slice(0, -1) : line)
    if (this.#partial.length > LOG_LINE_BYTES_MAX) {
      this.push(this.#partial)
      this.#partial = ''
    }
  }

  tail(linesMax: number): readonly string[] {
    const lines = this.#lines.toArray()
    if (this.#partial !== '') lines.push(this.#partial)
    return linesMax < lines.length ? lines.slice(lines.length - Math.max(0, linesMax)) : lines
  }
}
