import { Resolver } from 'node:dns/promises'
import { connect } from 'node:net'
import { systemClock } from '@ambient-lab/std'
import { MetricsRegistry } from '@ambient-lab/telemetry'
import { ADDRESS_TYPE } from '@ambient-lab/xds'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import { serviceOf, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { DnsMetrics } from './dns-metrics.ts'
import { DnsServer } from './dns-server.ts'
import { firstMessage, SystemDnsUpstream, withLength } from './dns-upstream.ts'
import { encodeDnsError, encodeDnsReply, parseDnsQuery } from './message.ts'

/** A query as a resolver writes it. */
function query(name: string, type: number, { id = 7, flags = 0x0100 } = {}): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)])
  return Buffer.from([id >> 8, id & 255, flags >> 8, flags & 255, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1])
}

describe('a DNS message', () => {
  it('is read with its name, type and what its sender takes over UDP', () => {
    const opt = Buffer.from([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0])
    const message = Buffer.concat([query('Echo.default', 28), opt])
    message[11] = 1
    expect(parseDnsQuery(message)).toMatchObject({ id: 7, name: 'Echo.default', type: 'AAAA', udpBytesMax: 4096 })
    expect(parseDnsQuery(query('a', 999 & 255))).toMatchObject({ udpBytesMax: 512 })
  })

  it.each<[string, Uint8Array, number | undefined]>([
    ['half a header', Buffer.alloc(11), undefined],
    ['an answer', query('a', 1, { flags: 0x8100 }), undefined],
    ['an update', query('a', 1, { flags: 0x2800 }), 4],
    ['no question', Buffer.alloc(12), 1],
    ['a name without an end', query('a', 1).subarray(0, 14), 1],
    ['a pointer in a question', Buffer.concat([query('a', 1).subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]), 1],
    ['a name that is too long', query(Array(10).fill('x'.repeat(60)).join('.'), 1), 1],
  ])('is turned away: %s', (_, message, code) => {
    expect(parseDnsQuery(message)).toMatchObject({ malformed: true, code })
  })

  it('loses records that do not fit, and says so', () => {
    const parsed = parseDnsQuery(query('many', 1))
    if ('malformed' in parsed) throw new Error('the query does not parse')
    const records = Array.from({ length: 100 }, (_, index) => ({
      name: 'many.',
      type: 'A' as const,
      data: `10.0.0.${index}`,
    }))
    const reply = encodeDnsReply(parsed, { code: 0, records, ttlSeconds: 30, isAuthoritative: true, bytesMax: 512 })
    expect(reply.length).toBeLessThanOrEqual(512)
    expect(reply[2]! & 2).toBe(2)
  })

  it('whatever comes, is read or turned away', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.tuple(fc.nat(30), fc.uint8Array({ maxLength: 20 })).map(([at, noise]) => {
        const message = query('echo.default.svc.cluster.local', 1)
        message.set(noise.subarray(0, message.length - at), at)
        return Uint8Array.from(message)
      }),
    )
    fc.assert(
      fc.property(bytes, (message) => {
        const parsed = parseDnsQuery(message)
        if (!('malformed' in parsed)) expect(parsed.question.length).toBeLessThanOrEqual(message.length)
        else if (parsed.code !== undefined) expect(encodeDnsError(parsed.id, parsed.code)).toHaveLength(12)
      }),
      { numRuns: 2000, seed: 53 },
    )
  })
})

describe('the DNS proxy of a workload', () => {
  const forwarded: string[] = []
  let outside: Uint8Array | undefined
  let server: DnsServer
  let metrics: MetricsRegistry
  let resolver: Resolver

  beforeEach(async () => {
    const holder = new ProxyStateHolder()
    const services = { 'default/headless.default.svc.cluster.local': [] }
    const resources = [
      ...[workloadOf('curl', 'a', '10.244.1.4'), workloadOf('h1', 'a', '10.244.1.5', { services })].map((workload) => ({
        name: workload.uid,
        resource: { workload },
      })),
      ...[serviceOf('echo', '10.96.0.10'), serviceOf('headless', '')].map((service) => ({
        name: `${service.namespace}/${service.hostname}`,
        resource: { service },
      })),
    ]
    expect(holder.apply(ADDRESS_TYPE, resources, [])).toEqual([])
    metrics = new MetricsRegistry()
    forwarded.length = 0
    outside = undefined
    server = await DnsServer.listen(
      {
        clock: systemClock,
        metrics: new DnsMetrics(metrics),
        state: () => holder.current,
        upstream: {
          ask: async (message, protocol) => {
            const parsed = parseDnsQuery(message)
            if (!('malformed' in parsed)) forwarded.push(`${protocol} ${parsed.type} ${parsed.name}`)
            return outside
          },
        },
      },
      { host: '127.0.0.1', clusterDomain: 'cluster.local', uid: 'Kubernetes//Pod/default/curl' },
    )
    resolver = new Resolver({ tries: 1 })
    resolver.setServers([`127.0.0.1:${server.address.port}`])
  })
  afterEach(() => server[Symbol.asyncDispose]())

  it.each([
    ['echo', ['10.96.0.10']],
    ['ECHO.default', ['10.96.0.10']],
    ['echo.default.svc.cluster.local', ['10.96.0.10']],
    ['headless', ['10.244.1.5']],
  ])('answers for %s', async (name, addresses) => {
    expect(await resolver.resolve4(name)).toEqual(addresses)
    expect(await resolver.resolve4(name, { ttl: true })).toMatchObject([{ ttl: 30 }])
    expect(forwarded).toEqual([])
    expect(metrics.expose()).toMatch(
      /istio_dns_requests_total\{request_query_type="A",request_protocol="udp",source_canonical_service="curl",source_canonical_revision="v1"\} 2/,
    )
  })

  it('says nothing where a name has no address of that family, and that there is none of a name it would know', async () => {
    await expect(resolver.resolve6('echo')).rejects.toMatchObject({ code: 'ENODATA' })
    await expect(resolver.resolve4('nobody.default.svc.cluster.local')).rejects.toMatchObject({ code: 'ENOTFOUND' })
    expect(forwarded).toEqual([])
  })

  it('passes everything else on, and fails when nobody answers', async () => {
    await expect(resolver.resolve4('example.com')).rejects.toMatchObject({ code: 'ESERVFAIL' })
    await expect(resolver.resolveMx('example.com')).rejects.toMatchObject({ code: 'ESERVFAIL' })
    expect(forwarded).toEqual(['udp A example.com', 'udp MX example.com'])
    expect(metrics.expose()).toMatch(/istio_dns_upstream_failures_total\{request_query_type="MX".*\} 1/)
  })

  it('answers over TCP, several questions on one connection', async () => {
    const socket = connect(server.address)
    let received: Buffer = Buffer.alloc(0)
    const answers = new Promise<number[]>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        const ids: number[] = []
        let rest: Uint8Array = received
        for (let message = firstMessage(rest); message; message = firstMessage(rest)) {
          ids.push(message[0]! * 256 + message[1]!)
          rest = rest.subarray(2 + message.length)
        }
        if (ids.length === 2) resolve(ids)
      })
    })
    const both = Buffer.concat([withLength(query('echo', 1, { id: 1 })), withLength(query('headless', 1, { id: 2 }))])
    // In two pieces, cut in the middle of a message.
    socket.write(both.subarray(0, 9))
    socket.write(both.subarray(9))
    expect((await answers).sort()).toEqual([1, 2])
    socket.destroy()
  })

  it('is a resolver that another one can ask', async () => {
    const upstream = new SystemDnsUpstream({ clock: systemClock }, () => [server.address])
    for (const protocol of ['udp', 'tcp'] as const) {
      const answer = await upstream.ask(query('echo', 1, { id: 77 }), protocol)
      expect([...answer!.subarray(-4)]).toEqual([10, 96, 0, 10])
    }
  })
})
