import { systemClock, VirtualClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { expect } from 'vitest'
import { MemoryPlainNetwork } from '../memory-plain-network.ts'
import { NodeNetwork } from '../plain-network.ts'
import { MemoryNetwork, MemoryTransport } from '../tunnel/memory-transport.ts'
import { WsMtlsTransport } from '../tunnel/ws-mtls-transport.ts'
import { describeWaypoint } from './waypoint.conformance.ts'

const LIMIT_MS = 30_000

describeWaypoint('a waypoint in memory, on a virtual clock', () => {
  const clock = new VirtualClock()
  const network = new MemoryNetwork()
  return {
    clock,
    network: new MemoryPlainNetwork({ clock }),
    transport: (svids) => new MemoryTransport({ network, clock, svids }),
    until: async (condition) => {
      expect(await clock.advanceUntil(condition, LIMIT_MS)).toBe(true)
    },
  }
})

describeWaypoint('a waypoint over sockets, WebSocket and mutual TLS', () => ({
  clock: systemClock,
  network: new NodeNetwork({ clock: systemClock }),
  transport: (svids) => new WsMtlsTransport({ clock: systemClock, svids }),
  until: async (condition) => {
    await eventually(() => expect(condition()).toBe(true))
  },
}))
