import type { Transport, Ztunnel } from '@ambient-lab/dataplane'
import type { AccessLog } from '@ambient-lab/telemetry'
import type { Delta, TypeUrl } from '@ambient-lab/xds'

/** Places where a component can be replaced by a broken one, to show that a checker can fail. */
export interface Mutations {
  transport(inner: Transport): Transport
  accessLog(inner: AccessLog): AccessLog
  ztunnel(ztunnel: Ztunnel): void
  /** What the agent's state is given, while it acknowledges what came. */
  upserts(typeUrl: TypeUrl, upserts: Delta['upserts']): Delta['upserts']
}

/** Everything as it is. */
export const UNBROKEN: Mutations = {
  transport: (inner) => inner,
  accessLog: (inner) => inner,
  ztunnel: () => {},
  upserts: (_, upserts) => upserts,
}
