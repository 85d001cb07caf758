import type { SvidState } from '@ambient-lab/pki'
import type { Checkpoint, CheckpointName } from '@ambient-lab/xds'
import type { Rejection } from '../errors.ts'
import type { LocalReply } from '../waypoint/local-replies.ts'
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

  /** A refusal that is no ztunnel's, and so has no code of its table. */
  refused(
    point: CheckpointName,
    saw: string,
    reason: string,
    more: Pick<Checkpoint, 'httpStatus' | 'responseFlags'>,
  ): Checkpoint {
    return { point, at: this.#at, verdict: 'denied', saw, reason, ...more }
  }

  /** A refusal that a waypoint answers by itself. */
  answered(point: CheckpointName, saw: string, { status, flag, details, body }: LocalReply): Checkpoint {
    return this.refused(point, saw, body || details, { httpStatus: status, ...(flag && { responseFlags: flag }) })
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
