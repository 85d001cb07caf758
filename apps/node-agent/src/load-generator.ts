import { type CancelTimer, type Clock, every } from '@ambient-lab/std'
import type { LatencyRecorder } from '@ambient-lab/telemetry'
import type { LatencySummary, LoadProgress, LoadRun } from '@ambient-lab/xds'
import { LOAD_LATE_MS, LOAD_PROGRESS_PERIOD_MS } from './limits.ts'
import { LoadSchedule } from './load/load-schedule.ts'

/** How one request ended: a status code, or the code of the error that stood in for an answer. */
export interface LoadOutcome {
  readonly code: string
  readonly ok: boolean
}

/** What is sent, over and over. Never rejects: a failure is an outcome. */
export interface LoadSender {
  send(signal: AbortSignal): Promise<LoadOutcome>
  close(): void
}

interface Components {
  readonly clock: Clock
  readonly sender: LoadSender
  readonly recorder: LatencyRecorder
  readonly onProgress: (progress: LoadProgress) => void
}

/**
 * One load, open loop: requests leave when the schedule says so and not when the previous answer came, so a target that
 * stalls is charged for everybody who would have come meanwhile (Gil Tene's "coordinated omission"). Each latency is
 * taken twice: from the intended start, which is what a user feels, and from the actual start, which is what a closed
 * loop would have claimed. The timer's granularity of 1 ms is inside the former.
 *
 * Runs in a thread of its own, beside the workloads': an app that computes for 50 ms must show up as latency and not
 * hold back the very clock that measures it. The thread exists only while there is a load.
 */
export class LoadGenerator implements Disposable {
  readonly #run: LoadRun
  readonly #components: Components
  readonly #schedule: LoadSchedule
  readonly #abort = new AbortController()
  readonly #outcomes: Record<string, number> = {}
  readonly #startedAtMs: number
  readonly #startMs: number
  #next = 0
  #inFlight = 0
  #sent = 0
  #late = 0
  #completed = 0
  #failed = 0
  #cancelTimer: CancelTimer = () => {}
  readonly #stopProgress: CancelTimer
  #state: LoadProgress['state'] = 'running'

  constructor(run: LoadRun, components: Components) {
    this.#run = run
    this.#components = components
    this.#schedule = new LoadSchedule(run)
    this.#startedAtMs = components.clock.now()
    this.#startMs = components.clock.monotonic()
    this.#stopProgress = every(components.clock, LOAD_PROGRESS_PERIOD_MS, () => this.#report())
    this.#pump()
  }

  /** Stops at once; requests in flight are given up and not counted. */
  [Symbol.dispose](): void {
    if (this.#abort.signal.aborted) return
    this.#cancelTimer()
    this.#stopProgress()
    this.#abort.abort()
    this.#components.sender.close()
  }

  get progress(): LoadProgress {
    const due = this.#schedule.due(this.#elapsedMs())
    const { recorder } = this.#components
    return {
      name: this.#run.name,
      namespace: this.#run.namespace,
      state: this.#state,
      startedAtMs: this.#startedAtMs,
      intended: Math.max(0, due - this.#schedule.firstCounted),
      sent: this.#sent,
      late: this.#late,
      completed: this.#completed,
      failed: this.#failed,
      outcomes: { ...this.#outcomes },
      latencyMs: withoutCount(recorder.corrected),
      uncorrectedMs: withoutCount(recorder.uncorrected),
      histogram: recorder.encode().corrected,
      message: this.#message(due),
    }
  }

  #elapsedMs(): number {
    return this.#components.clock.monotonic() - this.#startMs
  }

  /** Sends what is due and fits, then sets the timer for what comes next. */
  #pump(): void {
    if (this.#abort.signal.aborted || this.#state !== 'running') return
    const elapsedMs = this.#elapsedMs()
    if (this.#schedule.isOver(elapsedMs)) {
      this.#finishWhenIdle()
      return
    }
    const due = this.#schedule.due(elapsedMs)
    while (this.#next < due && this.#inFlight < this.#run.inFlightMax) this.#send(this.#next++, elapsedMs)
    this.#cancelTimer()
    // With the bound reached the next answer pumps; until then only the end of the run matters.
    const held = this.#inFlight >= this.#run.inFlightMax
    const wakeMs =
      held || this.#next >= this.#schedule.total ? this.#schedule.endMs : this.#schedule.intendedMs(this.#next)
    if (Number.isFinite(wakeMs)) {
      this.#cancelTimer = this.#components.clock.schedule(Math.max(0, wakeMs - elapsedMs), () => this.#pump())
    }
  }

  #send(index: number, elapsedMs: number): void {
    const counts = index >= this.#schedule.firstCounted
    const intendedMs = this.#schedule.intendedMs(index)
    if (counts) {
      this.#sent += 1
      if (elapsedMs - intendedMs > LOAD_LATE_MS) this.#late += 1
    }
    this.#inFlight += 1
    const sentMs = this.#elapsedMs()
    void this.#components.sender.send(this.#abort.signal).then((outcome) => {
      this.#inFlight -= 1
      if (this.#abort.signal.aborted) return
      if (counts) this.#count(outcome, intendedMs, sentMs)
      this.#pump()
    })
  }

  #count(outcome: LoadOutcome, intendedMs: number, sentMs: number): void {
    const nowMs = this.#elapsedMs()
    this.#outcomes[outcome.code] = (this.#outcomes[outcome.code] ?? 0) + 1
    if (outcome.ok) this.#completed += 1
    else this.#failed += 1
    this.#components.recorder.record({ intendedMs, startedMs: sentMs, endedMs: nowMs })
  }

  #finishWhenIdle(): void {
    this.#cancelTimer()
    if (this.#inFlight > 0) return // each answer comes back here; a target that never answers meets its time-out
    this.#state = 'finished'
    this.#report()
    this[Symbol.dispose]()
  }

  #report(): void {
    this.#components.onProgress(this.progress)
  }

  #message(due: number): string {
    const waiting = due - this.#next
    if (waiting <= 0) return ''
    return `${waiting} request${waiting === 1 ? '' : 's'} not sent yet: ${this.#inFlight} of ${this.#run.inFlightMax} in flight`
  }
}

/** The count is told by `completed` and `failed`. */
function withoutCount({ min, p50, p90, p99, p999, max, mean }: LatencySummary): LatencySummary {
  return { min, p50, p90, p99, p999, max, mean }
}
