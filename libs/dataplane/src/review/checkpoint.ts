import type { SvidState } from '@ambient-lab/pki'
import type { Checkpoint, CheckpointName } from '@ambient-lab/xds'
import type { Rejection } from '../errors.ts'
import { OUTCOMES } from '../ztunnel/response-flags.ts'

/** Makes the checkpoints of one decider. */
export class CheckpointWriter {
  readonly #at: string

  /** @param at as people name it: `ztunnel n2` */
  constructor(at: string) {
    this.#at = at
  }

  ok(point: CheckpointName, saw: string, reason: string): Checkpoint {
    return { point, at: this.#at, verdict: 'ok', saw, reason }
  }

  skipped(point: CheckpointName, saw: string, reason: string): Checkpoint {
    return { point, at: this.#at, verdict: 'skipped', saw, reason }
  }

  denied(point: CheckpointName, saw: string, { code, reason }: Rejection): Checkpoint {
    return { point, at: this.#at, verdict: 'denied', saw, reason, responseFlags: OUTCOMES[code].flag }
  }

  /** Whether a workload has a certificate to show. */
  certificate(identity: string, state: SvidState | undefined): Checkpoint {
    if (state?.phase === 'Available') {
      const until = new Date(state.svid.notAfterMs).toISOString()
      return this.ok('certificate', identity, `valid until ${until}`)
    }
    const reason = state?.phase === 'Unavailable' ? state.reason : 'not signed yet'
    return this.denied('certificate', identity, { kind: 'rejection', code: 'CERTIFICATE_UNAVAILABLE', reason })
  }
}
