import type { Clock } from '@ambient-lab/std'
import type { HostPort } from '../address.ts'
import type { PlainListener, PlainNetwork } from '../plain-network.ts'
import type { LocalWorkload } from '../ztunnel/local-workload.ts'
import { type CapturedConnection, CaptureHandshake } from './redirect.ts'

export interface CaptureListenerComponents {
  readonly network: PlainNetwork
  readonly clock: Clock
}

/**
 * Opens the door through which one workload's programs enter the mesh: who dials it is that workload. Speaks SOCKS5
 * and HTTP CONNECT, told apart by the first byte.
 * @throws CodedError ADDRESS_IN_USE
 */
export function listenForWorkload(
  source: LocalWorkload,
  address: HostPort,
  { network, clock }: CaptureListenerComponents,
  onCaptured: (captured: CapturedConnection) => void,
): Promise<PlainListener> {
  return network.listen(address, (stream, remote) => {
    new CaptureHandshake({ source, sourcePort: remote.port, stream, clock, onCaptured })
  })
}
