import { AccessLog, type AccessOutcome, type AccessRecord, silentLogger } from '@ambient-lab/telemetry'

/** One line of a ztunnel's access log, before it became text. */
export interface AccessEntry {
  readonly node: string
  readonly record: AccessRecord
  readonly outcome: AccessOutcome
}

export interface FailedEntry {
  readonly node: string
  readonly sourceAddr: string
  readonly destinationAddr: string
  readonly direction: AccessRecord['direction']
  readonly error: string
}

/** Every line of every access log of a run, by the address of the source. */
export class AccessBook {
  readonly complete: AccessEntry[] = []
  readonly failed: FailedEntry[] = []
  readonly #bySource = new Map<string, AccessEntry[]>()
  readonly #onLine: (node: string, line: string) => void

  constructor(onLine: (node: string, line: string) => void) {
    this.#onLine = onLine
  }

  addFailed(entry: FailedEntry): void {
    this.failed.push(entry)
    const { node, direction, sourceAddr, destinationAddr, error } = entry
    this.#onLine(node, `${direction} ${sourceAddr} → ${destinationAddr} failed: ${error}`)
  }

  add(entry: AccessEntry): void {
    this.complete.push(entry)
    const { addr } = entry.record.source
    const { direction, destination } = entry.record
    const { bytesSent, bytesReceived, error = 'in order' } = entry.outcome
    const moved = `${bytesSent}/${bytesReceived} bytes`
    this.#onLine(entry.node, `${direction} ${addr} → ${destination.addr} complete, ${moved}: ${error}`)
    const entries = this.#bySource.get(addr)
    if (entries) entries.push(entry)
    else this.#bySource.set(addr, [entry])
  }

  of(sourceAddress: string, direction: AccessRecord['direction']): AccessEntry[] {
    return (this.#bySource.get(sourceAddress) ?? []).filter(({ record }) => record.direction === direction)
  }
}

/** Writes into the book what a ztunnel would write into its log. */
export class RecordingAccessLog extends AccessLog {
  readonly #node: string
  readonly #book: AccessBook
  readonly #isAlive: () => boolean

  /** @param isAlive a dead process writes nothing */
  constructor(node: string, book: AccessBook, isAlive: () => boolean) {
    super(silentLogger())
    this.#node = node
    this.#book = book
    this.#isAlive = isAlive
  }

  override complete(record: AccessRecord, outcome: AccessOutcome): void {
    if (this.#isAlive()) this.#book.add({ node: this.#node, record, outcome })
  }

  override failed(denied: Omit<FailedEntry, 'node'>): void {
    if (this.#isAlive()) this.#book.addFailed({ node: this.#node, ...denied })
  }
}
