import { rootOf, type SvidState, shortFingerprint, type X509Svid } from '@ambient-lab/pki'
import { CodedError } from '@ambient-lab/std'
import type { WorkloadReport } from '@ambient-lab/xds'

export type CertificateReport = NonNullable<WorkloadReport['certificate']>

/** What an agent tells its control plane of a workload's certificate: how it stands, and whom its holder believes. */
export function certificateReport(state: SvidState): CertificateReport {
  if (state.phase !== 'Available') {
    const reason = state.phase === 'Unavailable' ? state.reason : ''
    return { state: state.phase, notAfterMs: 0, reason, serialNumber: '', root: '', trusts: [] }
  }
  const { svid } = state
  return {
    state: 'Available',
    notAfterMs: svid.notAfterMs,
    reason: '',
    serialNumber: svid.serialNumber,
    root: trustedRoot(svid),
    trusts: svid.bundle.roots.map(shortFingerprint),
  }
}

/** Empty when its own holder does not trust it any more: the root was withdrawn before the certificate was replaced. */
function trustedRoot({ chain, bundle }: X509Svid): string {
  try {
    return shortFingerprint(rootOf(chain, bundle))
  } catch (error) {
    if (CodedError.is(error, 'PEER_UNTRUSTED')) return ''
    throw error
  }
}
