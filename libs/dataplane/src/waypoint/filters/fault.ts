import type { CancelTimer, Random } from '@ambient-lab/std'
import type { FaultPolicy } from '@ambient-lab/xds'
import { defineHttpFilter, type FilterStatus, type HttpFilter } from '../filter.ts'
import type { HttpStream } from '../http-stream.ts'
import { LOCAL_REPLIES } from '../local-replies.ts'

/** Delays requests, or answers them with an error, by share. */
export default defineHttpFilter({
  name: 'fault',
  phase: 'fault',
  create({ route, random }) {
    const fault = route?.filters?.fault
    if (!fault) return undefined
    return () => {
      const delays = isDrawn(fault.delay, random)
      const aborts = isDrawn(fault.abort, random)
      return delays || aborts ? new Fault(fault, delays, aborts) : undefined
    }
  },
})

function isDrawn(part: { readonly millionths: number } | undefined, random: Random): boolean {
  return part !== undefined && part.millionths > 0 && random.integer(1_000_000) < part.millionths
}

class Fault implements HttpFilter {
  readonly #policy: FaultPolicy
  readonly #delays: boolean
  readonly #aborts: boolean
  #cancel: CancelTimer | undefined

  constructor(policy: FaultPolicy, delays: boolean, aborts: boolean) {
    this.#policy = policy
    this.#delays = delays
    this.#aborts = aborts
  }

  decodeHeaders(stream: HttpStream): FilterStatus {
    if (!this.#delays) return this.#abort(stream)
    stream.flag('DI')
    this.#cancel = stream.runtime.clock.schedule(this.#policy.delay!.fixedMs, () => {
      if (this.#abort(stream) === 'continue') stream.continueDecoding()
    })
    return 'stop'
  }

  onDestroy(): void {
    this.#cancel?.()
  }

  #abort(stream: HttpStream): FilterStatus {
    if (!this.#aborts) return 'continue'
    const { httpStatus, grpcStatus } = this.#policy.abort!
    if (grpcStatus !== undefined) {
      const headers = stream.record.isGrpc ? [] : [['grpc-status', String(grpcStatus)] as const]
      stream.localReply(LOCAL_REPLIES.FAULT_ABORT, { status: 200, grpcStatus, headers })
    } else {
      stream.localReply(LOCAL_REPLIES.FAULT_ABORT, httpStatus === undefined ? {} : { status: httpStatus })
    }
    return 'stop'
  }
}
