import type { Session } from 'node:inspector/promises'
import { type Clock, CodedError, sleep } from '@ambient-lab/std'

const US_PER_SECOND = 1_000_000
/** Bytes between two samples of what was allocated: V8's own default. */
const HEAP_SAMPLING_BYTES = 32 * 1024

/** What ztunnel's `/debug/pprof` answers, of this thread and in V8's formats: for the DevTools of a browser, or speedscope. */
export class Profiles {
  readonly #clock: Clock
  #busy = false

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  /**
   * Where time goes, as a `.cpuprofile`.
   * @throws CodedError PROFILE_BUSY: one at a time, for each disturbs the others
   */
  cpu({ seconds, frequencyHz }: { readonly seconds: number; readonly frequencyHz: number }): Promise<string> {
    return this.#take(async (session) => {
      await session.post('Profiler.enable')
      await session.post('Profiler.setSamplingInterval', { interval: Math.round(US_PER_SECOND / frequencyHz) })
      await session.post('Profiler.start')
      await sleep(this.#clock, seconds * 1000)
      return JSON.stringify((await session.post('Profiler.stop')).profile)
    })
  }

  /** Who allocated, in this time, what is still there: a `.heapprofile`. @throws CodedError PROFILE_BUSY */
  heap({ seconds }: { readonly seconds: number }): Promise<string> {
    return this.#take(async (session) => {
      await session.post('HeapProfiler.startSampling', { samplingInterval: HEAP_SAMPLING_BYTES })
      await sleep(this.#clock, seconds * 1000)
      return JSON.stringify((await session.post('HeapProfiler.stopSampling')).profile)
    })
  }

  async #take(profile: (session: Session) => Promise<string>): Promise<string> {
    if (this.#busy) throw new CodedError('PROFILE_BUSY', 'a profile is being taken already')
    this.#busy = true
    // Loaded when it is asked for: an idle agent has no use for it.
    const inspector = await import('node:inspector/promises')
    const session = new inspector.Session()
    try {
      session.connect()
      return await profile(session)
    } finally {
      session.disconnect()
      this.#busy = false
    }
  }
}
