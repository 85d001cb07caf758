import type { Peer } from './pair.ts'

/** Nothing in between: what the machine's loopback gives, and the floor under every latency. */
export const direct: Peer = {
  name: 'direct loopback',
  version: 'no proxy',
  absence: '',
  async start({ backendPort }) {
    return {
      door: { port: backendPort },
      memory: async () => 0,
      cpuSeconds: () => 0,
      stop() {},
    }
  },
}
