import { SeededRandom, systemClock } from '@ambient-lab/std'
import { MemoryNetwork, MemoryTransport } from './memory-transport.ts'
import { describeTransport } from './transport.conformance.ts'
import { WsMtlsTransport } from './ws-mtls-transport.ts'

describeTransport('WsMtlsTransport', (svids) => ({
  client: new WsMtlsTransport({ clock: systemClock, svids }),
  server: new WsMtlsTransport({ clock: systemClock, svids }),
}))

describeTransport('MemoryTransport', (svids) => {
  const components = { clock: systemClock, network: new MemoryNetwork(), svids }
  return { client: new MemoryTransport(components), server: new MemoryTransport(components) }
})

describeTransport('MemoryTransport that delays and cuts', (svids) => {
  const components = { clock: systemClock, network: new MemoryNetwork(), svids, random: new SeededRandom(11) }
  return {
    client: new MemoryTransport(components, { latencyMs: 1 }),
    server: new MemoryTransport(components, { latencyMs: 1 }),
  }
})
