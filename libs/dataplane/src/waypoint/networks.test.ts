import { systemClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { expect } from 'vitest'
import { NodeNetwork } from '../plain-network.ts'
import { WsMtlsTransport } from '../tunnel/ws-mtls-transport.ts'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'
import { describeTwoNetworks } from './networks.conformance.ts'

describeTwoNetworks('two networks in memory, on a virtual clock', memoryGround)

describeTwoNetworks('two networks over sockets, WebSocket and mutual TLS', () => ({
  clock: systemClock,
  network: new NodeNetwork({ clock: systemClock }),
  transport: (svids) => new WsMtlsTransport({ clock: systemClock, svids }),
  until: async (condition) => {
    await eventually(() => expect(condition()).toBe(true))
  },
}))
