import { describe, expect, it } from 'vitest'
import { mergeDumps, parseZtunnelDump } from './dump.ts'
import { SECTIONS, sectionText } from './sections.ts'

const certificate = (serialNumber: string, expirationTime: string) => ({
  ...{ serialNumber, expirationTime, validFrom: '2026-01-01T00:00:00Z' },
})

const DUMP = parseZtunnelDump(
  JSON.stringify({
    workloads: [
      { name: 'web', namespace: 'a', workloadIps: ['10.0.0.1'], node: 'n1', protocol: 'HBONE', uid: 'u1' },
      { name: 'web', namespace: 'b', workloadIps: ['10.0.0.2'], node: 'n2', protocol: 'TCP', uid: 'u2' },
      { name: 'lost', namespace: 'b', waypoint: { destination: 'b/gone.b.svc' }, protocol: 'TCP', uid: 'u3' },
    ],
    services: [
      {
        ...{ name: 'web', namespace: 'a', hostname: 'web.a.svc', vips: ['net/10.96.0.1', 'net/fd00::1'] },
        endpoints: { x: { status: 'Healthy' }, y: { status: 'Unhealthy' }, z: {} },
      },
    ],
    policies: [],
    certificates: [
      {
        identity: 'spiffe://td/ns/a/sa/web',
        state: 'Available',
        certChain: [certificate('255', '2026-02-01T00:00:00Z'), certificate('16', '2026-02-01T00:00:00Z')],
        rootCerts: [certificate('1', '2026-01-15T00:00:00Z')],
      },
      { identity: 'spiffe://td/ns/a/sa/none', state: 'Unavailable: no CA', certChain: [] },
    ],
    workloadState: {
      s1: {
        state: 'Up',
        connections: {
          inbound: [{ src: '10.0.0.2:4000', actualDst: '10.0.0.1:80', originalDst: null, protocol: 'HBONE' }],
          outbound: [{ src: '10.0.0.1:5000', actualDst: '[fd00::1]:80', originalDst: '9.9.9.9:80', protocol: 'TCP' }],
        },
        info: { name: 'web', namespace: 'a' },
      },
    },
  }),
  'dump.json',
)
const NOW = Date.parse('2026-01-20T00:00:00Z')
const lines = (...args: Parameters<(typeof SECTIONS)['workload']>) =>
  sectionText(SECTIONS.workload(...args)).split('\n')

describe('a section of ztunnel-config', () => {
  it.each([
    ['everything', {}, 3],
    ['one namespace', { workloadNamespace: 'b' }, 2],
    ['one node', { workloadNode: 'n1' }, 1],
    ['one address', { address: '10.0.0.2' }, 1],
    ['a name in any namespace', { workload: 'web' }, 2],
    ['a name in one', { workload: 'web.a' }, 1],
    ['nothing', { workload: 'web.c' }, 0],
  ])('shows workloads: %s', (_, filter, count) => {
    expect(lines(DUMP, filter, NOW)).toHaveLength(count + 2)
  })

  it('names a waypoint that nobody knows NA', () => {
    expect(lines(DUMP, { workload: 'lost' }, NOW)[1]).toBe('b         lost                  NA       TCP')
  })

  it('counts an endpoint without status as healthy, and shows addresses of both families', () => {
    const { rows } = SECTIONS.service(DUMP, {}, NOW)
    expect(rows[1]).toEqual(['a', 'web', '10.96.0.1,fd00::1', 'None', '2/3'])
  })

  it('tells leaf, intermediate and root, serials as openssl does, and what is over', () => {
    const rows = SECTIONS.certificate(DUMP, {}, NOW).rows.slice(1)
    expect(rows.map(([, type, status, valid, serial]) => [type, status, valid, serial])).toEqual([
      ['NA', 'Unavailable', 'false', 'NA'],
      ['Leaf', 'Available', 'true', 'ff'],
      ['Intermediate', 'Available', 'true', '10'],
      ['Root', 'Available', 'false', '1'],
    ])
  })

  it('names the ends of connections unless raw is asked for', () => {
    const rows = (filter: object) => SECTIONS.connections(DUMP, filter, NOW).rows.slice(1)
    expect(rows({})).toEqual([
      ['web.a', 'Inbound', 'web.a:80', 'web.b:4000', '', 'HBONE'],
      ['web.a', 'Outbound', 'web.a:5000', 'web.a.svc:80', '9.9.9.9:80', 'TCP'],
    ])
    expect(rows({ raw: true, direction: 'outbound' })).toEqual([
      ['web.a', 'Outbound', '10.0.0.1:5000', '[fd00::1]:80', '9.9.9.9:80', 'TCP'],
    ])
  })

  it('lets no cell steer the terminal', () => {
    const dump = { ...DUMP, policies: [{ name: '\u001b[2J', namespace: 'a', action: 'Deny', scope: 'Global' }] }
    expect(sectionText(SECTIONS.policy(dump, {}, NOW))).not.toContain('\u001b')
  })
})

describe('dumps of several nodes', () => {
  it('are one: what all know once, what is a node’s own from each', () => {
    const merged = mergeDumps([DUMP, { ...DUMP, workloadState: {} }])
    expect([merged.workloads.length, merged.services.length, merged.certificates.length]).toEqual([3, 1, 4])
    expect(Object.keys(merged.workloadState)).toEqual(['s1'])
  })
})

it.each(['', 'no JSON', '[]', 'null', '{}', '{"workloads":[{}]}', '{"workloads":[null]}'])(
  'refuses %j as a dump',
  (text) => {
    expect(() => parseZtunnelDump(text, 'dump.json')).toThrow(/dump\.json is no config dump of a ztunnel/)
  },
)
