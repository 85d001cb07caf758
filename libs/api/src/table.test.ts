import { describe, expect, test } from 'vitest'
import { findKindByName, KINDS } from './registry.ts'
import type { Resource } from './resource.ts'
import { columnsOf, renderTable } from './table.ts'

const NOW = Date.parse('2026-01-01T00:10:00Z')
const CREATED = '2026-01-01T00:00:00Z'

/** Header and one row, as a person sees them. */
function shown(kind: string, fields: object, options?: { wide?: boolean; namespace?: boolean }): string[] {
  const object = {
    apiVersion: 'v1',
    kind,
    metadata: { name: 'a', namespace: 'default', creationTimestamp: CREATED },
    ...fields,
  }
  const { columns, rows } = renderTable(findKindByName(kind)!, [object as Resource], NOW, options)
  return [columns.map(({ title }) => title).join('|'), rows[0]!.cells.join('|')]
}

const running = { name: 'c', ready: true, restartCount: 0, state: { running: {} } }

describe('columns as kubectl prints them', () => {
  test.each<[string, object, string, string]>([
    [
      'pod',
      { spec: { containers: [{ name: 'c' }] }, status: { phase: 'Running', containerStatuses: [running] } },
      'NAME|READY|STATUS|RESTARTS|AGE',
      'a|1/1|Running|0|10m',
    ],
    [
      'pod',
      {
        spec: { containers: [{ name: 'c' }] },
        status: {
          phase: 'Running',
          containerStatuses: [
            {
              ...running,
              ready: false,
              restartCount: 3,
              state: { waiting: { reason: 'CrashLoopBackOff' } },
              lastState: { terminated: { finishedAt: '2026-01-01T00:09:20Z' } },
            },
          ],
        },
      },
      'NAME|READY|STATUS|RESTARTS|AGE',
      'a|0/1|CrashLoopBackOff|3 (40s ago)|10m',
    ],
    [
      'deployment',
      { spec: { replicas: 3 }, status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 } },
      'NAME|READY|UP-TO-DATE|AVAILABLE|AGE',
      'a|2/3|3|2|10m',
    ],
    [
      'service',
      { spec: { clusterIP: '10.96.0.7', ports: [{ port: 80 }, { port: 53, protocol: 'UDP', nodePort: 3 }] } },
      'NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE',
      'a|ClusterIP|10.96.0.7|<none>|80/TCP,53:3/UDP|10m',
    ],
    [
      'node',
      {
        spec: { unschedulable: true },
        status: { conditions: [{ type: 'Ready', status: 'True' }], agent: { version: '0.1.0' } },
      },
      'NAME|STATUS|ROLES|VERSION|AGE',
      'a|Ready,SchedulingDisabled|<none>|0.1.0|10m',
    ],
    [
      'event',
      {
        involvedObject: { kind: 'Pod', name: 'web-1' },
        reason: 'Started',
        message: 'Started web\n',
        lastTimestamp: '2026-01-01T00:09:30Z',
      },
      'LAST SEEN|TYPE|REASON|OBJECT|MESSAGE',
      '30s|Normal|Started|pod/web-1|Started web',
    ],
    [
      'endpointslice',
      {
        addressType: 'IPv4',
        ports: [{ port: 80 }],
        endpoints: ['1', '2', '3', '4'].map((n) => ({ addresses: [`10.0.0.${n}`] })),
      },
      'NAME|ADDRESSTYPE|PORTS|ENDPOINTS|AGE',
      'a|IPv4|80|10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...|10m',
    ],
    [
      'fault',
      {
        spec: {
          type: 'link.delay',
          from: ['n1'],
          to: ['n2'],
          oneway: true,
          params: { delay: '120ms', jitter: '20ms' },
          duration: '3m',
        },
        status: { phase: 'Active', endsAt: '2026-01-01T00:10:48Z' },
      },
      'NAME|TYPE|TARGET|PARAMS|STATE|LEFT|WHO|AGE',
      'a|link.delay|n1 > n2|120ms +-20ms|Active|48s|-|10m',
    ],
    [
      'load',
      {
        spec: { from: 'deploy/curl', url: 'http://x/', rate: '20/s' },
        status: { phase: 'Running', sent: 100, completed: 99, failed: 1, latencyMs: { p50: 1.23, p99: 45.6 } },
      },
      'NAME|FROM|URL|RATE|STATE|SENT|OK%|P50|P99|AGE',
      'a|deploy/curl|http://x/|20/s|Running|100|99.0|1.2ms|46ms|10m',
    ],
    [
      'connection',
      {
        spec: {
          direction: 'outbound',
          protocol: 'HBONE',
          source: {
            address: '10.244.1.2:41000',
            workload: 'curl-1',
            namespace: 'default',
            identity: 'spiffe://cluster.local/ns/default/sa/curl',
          },
          destination: {
            address: '10.244.2.3:9080',
            workload: 'web-1',
            namespace: 'shop',
            identity: '',
            service: 'web.shop.svc.cluster.local',
            hboneAddress: '',
          },
          state: 'open',
          responseFlags: '-',
          durationMs: 5000,
        },
      },
      'WORKLOAD|DIRECTION|LOCAL|REMOTE|REMOTE TARGET|PROTOCOL|STATE|FLAGS|SRC ID|DST ID|AGE',
      'curl-1.default|Outbound|10.244.1.2:41000|10.244.2.3:9080|web.shop.svc.cluster.local|HBONE|open|-|default/sa/curl|-|5s',
    ],
  ])('%s', (kind, fields, header, row) => {
    expect(shown(kind, fields, { wide: false })).toEqual([header, row])
  })

  test('wide columns follow AGE, and NAMESPACE is asked for', () => {
    const [header] = shown('pod', { spec: { containers: [] } }, { namespace: true })
    expect(header).toBe('NAMESPACE|NAME|READY|STATUS|RESTARTS|AGE|IP|NODE|NOMINATED NODE|READINESS GATES')
  })

  test('an object on its way out', () => {
    const metadata = { name: 'a', deletionTimestamp: CREATED }
    expect(shown('pod', { metadata, spec: { containers: [] } }, { wide: false })[1]).toBe(
      'a|0/0|Terminating|0|<unknown>',
    )
  })
})

describe.each(KINDS.map((definition) => [`${definition.plural}.${definition.group}`, definition] as const))(
  '%s',
  (_, definition) => {
    test('has a cell for every column, whatever the object lacks', () => {
      const bare = { apiVersion: 'v1', kind: definition.kind, metadata: { name: 'a' } }
      const { columns, rows } = renderTable(definition, [bare, { ...bare, spec: 7, status: 'odd' }], NOW)
      expect(columns).toHaveLength(columnsOf(definition).length)
      for (const { cells } of rows) {
        expect(cells).toHaveLength(columns.length)
        for (const cell of cells) expect(['string', 'number']).toContain(typeof cell)
      }
    })

    test('is named as Kubernetes names kinds', () => {
      expect(definition.plural).toMatch(/^[a-z][a-z0-9]*$/)
      expect(definition.kind).toMatch(/^[A-Z][A-Za-z0-9]+$/)
      expect(
        [definition.version, ...(definition.otherVersions ?? [])].every((v) => /^v\d+((alpha|beta)\d+)?$/.test(v)),
      ).toBe(true)
      expect(new Set(columnsOf(definition).map(({ title }) => title)).size).toBe(columnsOf(definition).length)
    })
  },
)
