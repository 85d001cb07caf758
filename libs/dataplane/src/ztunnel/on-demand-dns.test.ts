import { MetricsRegistry } from '@ambient-lab/telemetry'
import { expect, it } from 'vitest'
import type { PlainNetwork } from '../plain-network.ts'
import { OnDemandDns } from './on-demand-dns.ts'
import { workloadOf } from './two-nodes.conformance.ts'

const curl = workloadOf('curl', 'a', '10.244.1.4')
const named = (hostname: string) => workloadOf('outside', '', '', { addresses: [], hostname })

/** Knows one name, and a name with an answer that is none. */
const network = {
  lookup: async (name: string) => ({ 'known.example': '192.0.2.1', 'odd.example': 'no address' })[name],
} as unknown as PlainNetwork

it('resolves a workload by its name and counts who asked', async () => {
  const metrics = new MetricsRegistry()
  const dns = new OnDemandDns({ network, metrics })
  expect(await dns.resolve(curl, named('known.example'))).toBe('192.0.2.1')
  expect(await dns.resolve(curl, named('known.example'))).toBe('192.0.2.1')
  expect(metrics.expose()).toMatch(/istio_on_demand_dns_total\{source_workload="curl",.*hostname="known.example"\} 2/)
})

it.each(['unknown.example', 'odd.example'])('fails in ztunnel’s words for %s', async (hostname) => {
  const dns = new OnDemandDns({ network, metrics: new MetricsRegistry() })
  await expect(dns.resolve(curl, named(hostname))).rejects.toMatchObject({
    code: 'UNKNOWN_HOST',
    message: 'no ip addresses were resolved for workload: Kubernetes//Pod/default/outside',
  })
})
