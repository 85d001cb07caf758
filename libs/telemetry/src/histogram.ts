import { CodedError } from '@ambient-lab/std'
import type { Histogram } from 'hdr-histogram-js'
import { LATENCY_DIGITS, LATENCY_US_MAX } from './limits.ts'

export interface LatencySummary {
  readonly count: number
  readonly min: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly mean: number
}

/** Three moments of one request of an open-loop load, in milliseconds of one monotonic clock. */
export interface LatencySample {
  /** When the schedule wanted it sent. */
  readonly intendedMs: number
  /** When it was sent. */
  readonly startedMs: number
  readonly endedMs: number
}

/** Both histograms in HDR's compressed V2 form, base64: they can be merged with those of other nodes. */
export interface EncodedLatency {
  readonly corrected: string
  readonly uncorrected: string
}

type HdrModule = typeof import('./hdr-library.ts')

/**
 * Latency of an open-loop load. *Corrected* counts from the moment a request was due, so that a stall of the server shows
 * in every request that it held up; *uncorrected* counts from the moment it was sent, and hides that (coordinated omission).
 * @see https://hdrhistogram.github.io/HdrHistogram/
 */
export class LatencyRecorder {
  readonly #hdr: HdrModule
  readonly #corrected: Histogram
  readonly #uncorrected: Histogram

  private constructor(hdr: HdrModule) {
    this.#hdr = hdr
    this.#corrected = build(hdr)
    this.#uncorrected = build(hdr)
  }

  /** Loads the library at first use: processes that measure nothing do not pay for it. */
  static async create(): Promise<LatencyRecorder> {
    return new LatencyRecorder(await import('./hdr-library.ts'))
  }

  record({ intendedMs, startedMs, endedMs }: LatencySample): void {
    this.#corrected.recordValue(microseconds(endedMs - intendedMs))
    this.#uncorrected.recordValue(microseconds(endedMs - startedMs))
  }

  get count(): number {
    return this.#corrected.totalCount
  }

  /** In milliseconds. All zero when nothing was recorded. */
  get corrected(): LatencySummary {
    return summarize(this.#corrected)
  }

  get uncorrected(): LatencySummary {
    return summarize(this.#uncorrected)
  }

  /** Adds what another recorder, perhaps of another process, has encoded. @throws CodedError HISTOGRAM_MALFORMED */
  merge(other: EncodedLatency): void {
    const corrected = this.#decode(other.corrected)
    const uncorrected = this.#decode(other.uncorrected)
    this.#corrected.add(corrected)
    this.#uncorrected.add(uncorrected)
  }

  encode(): EncodedLatency {
    const { encodeIntoCompressedBase64 } = this.#hdr
    return {
      corrected: encodeIntoCompressedBase64(this.#corrected),
      uncorrected: encodeIntoCompressedBase64(this.#uncorrected),
    }
  }

  #decode(base64: string): Histogram {
    try {
      return this.#hdr.decodeFromCompressedBase64(base64)
    } catch (cause) {
      throw new CodedError('HISTOGRAM_MALFORMED', 'not a compressed HDR histogram', { cause })
    }
  }
}

function build(hdr: HdrModule): Histogram {
  return hdr.build({
    highestTrackableValue: LATENCY_US_MAX,
    numberOfSignificantValueDigits: LATENCY_DIGITS,
    autoResize: false,
  })
}

function microseconds(durationMs: number): number {
  return Math.min(LATENCY_US_MAX, Math.max(0, Math.round(durationMs * 1000)))
}

function summarize(histogram: Histogram): LatencySummary {
  const { totalCount: count } = histogram
  if (count === 0) return { count, min: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 }
  const at = (percentile: number) => histogram.getValueAtPercentile(percentile) / 1000
  return {
    count,
    min: at(0),
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: histogram.maxValue / 1000,
    mean: histogram.mean / 1000,
  }
}
