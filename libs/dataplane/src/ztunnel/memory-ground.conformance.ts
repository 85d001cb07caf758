import { VirtualClock } from '@ambient-lab/std'
import { expect } from 'vitest'
import { MemoryPlainNetwork } from '../memory-plain-network.ts'
import { MemoryNetwork, MemoryTransport } from '../tunnel/memory-transport.ts'
import type { Ground } from './two-nodes.conformance.ts'

const LIMIT_MS = 30_000

/** Two nodes in one process, whose time moves only while somebody waits. */
export function memoryGround(): Ground {
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
}
