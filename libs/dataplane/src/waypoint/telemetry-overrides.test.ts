import { VirtualClock } from '@ambient-lab/std'
import type { L7Proxy } from '@ambient-lab/xds'
import { L7_PROXY_TYPE } from '@ambient-lab/xds'
import { describe, expect } from 'vitest'
import { MemoryPlainNetwork } from '../memory-plain-network.ts'
import { MemoryNetwork, MemoryTransport } from '../tunnel/memory-transport.ts'
import { clusterOfPod, waypointTest } from './mesh-with-waypoint.conformance.ts'

const it = waypointTest(() => {
  const clock = new VirtualClock()
  const network = new MemoryNetwork()
  return {
    clock,
    network: new MemoryPlainNetwork({ clock }),
    transport: (svids) => new MemoryTransport({ network, clock, svids }),
    until: async (condition) => {
      expect(await clock.advanceUntil(condition, 30_000)).toBe(true)
    },
  }
})

function linesOf(text: string, metric: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(`${metric}{`))
}

describe('the metrics of a waypoint with overrides', () => {
  it('have labels of the request, for each value a series, and the metrics without stay as they are', async ({
    mesh,
  }) => {
    mesh.cluster(clusterOfPod('web', 0))
    mesh.proxy({
      tagOverrides: {
        REQUEST_COUNT: {
          source_principal: null,
          team: "'x-team' in request.headers ? request.headers['x-team'] : 'none'",
        },
      },
    })
    for (const team of ['red', 'red', 'blue']) await mesh.get('/', [`x-team: ${team}`])
    await mesh.get('/')
    const counted = linesOf(mesh.metrics.expose(), 'istio_requests_total')
    expect(counted.map((line) => /,team="(.*)"\} (\d)$/.exec(line)?.slice(1))).toEqual([
      ['red', '2'],
      ['blue', '1'],
      ['none', '1'],
    ])
    for (const line of counted) expect(line).not.toContain('source_principal')
    const sizes = linesOf(mesh.metrics.expose(), 'istio_request_bytes_count')
    expect(sizes).toEqual([expect.stringMatching(/source_principal="spiffe:.*\} 4$/)])
  })

  it('follow the configuration: what was counted stays, and what comes has the labels of now', async ({ mesh }) => {
    mesh.cluster(clusterOfPod('web', 0))
    await mesh.get('/')
    mesh.proxy({ tagOverrides: { REQUEST_COUNT: { code: 'response.code >= 500' } } })
    await mesh.get('/')
    mesh.proxy({})
    await mesh.get('/')
    expect(linesOf(mesh.metrics.expose(), 'istio_requests_total')).toEqual([
      expect.stringMatching(/connection_security_policy="mutual_tls"\} 2$/),
      expect.stringMatching(/connection_security_policy="mutual_tls",code="false"\} 1$/),
    ])
  })

  it('have the buckets that the proxy wants, of series that begin then', async ({ mesh }) => {
    mesh.proxy({ histogramBuckets: { REQUEST_DURATION: [1, 2.5] } })
    await mesh.get('/')
    const text = mesh.metrics.expose()
    const bounds = (metric: string) => linesOf(text, `${metric}_bucket`).map((line) => /le="(.*)"/.exec(line)?.[1])
    expect(bounds('istio_request_duration_milliseconds')).toEqual(['1', '2.5', '+Inf'])
    expect(bounds('istio_request_bytes')).toHaveLength(20)
  })
})

describe('the log of a waypoint with a filter', () => {
  it('has a line for what the filter is true of', async ({ mesh }) => {
    const format = '%REQ(:PATH)%'
    mesh.proxy({ accessLog: { enabled: true, encoding: 'TEXT', format, filter: "request.url_path != '/healthz'" } })
    for (const path of ['/a', '/healthz?x', '/b']) await mesh.get(path)
    expect(mesh.lines).toEqual(['/a', '/b'])
  })
})

describe('a configuration', () => {
  const refused = (overrides: object) => {
    const resource = { name: 'default/waypoint', ...overrides }
    return [{ name: 'default/waypoint', resource }]
  }
  const valid: Omit<L7Proxy, 'name'> = {
    namespace: 'default',
    kind: 'waypoint',
    workloads: [],
    ports: [],
    accessLog: { enabled: true, encoding: 'TEXT' },
    pathNormalization: 'NONE',
  }
  it.for<[string, object, string]>([
    ['a tag that is a number', { tagOverrides: { REQUEST_COUNT: { a: 1 } } }, 'tagOverrides.REQUEST_COUNT.a'],
    ['buckets that do not rise', { histogramBuckets: { REQUEST_SIZE: [1, 1] } }, 'histogramBuckets.REQUEST_SIZE'],
    [
      'buckets without number',
      { histogramBuckets: { REQUEST_SIZE: Array.from({ length: 201 }, (_, i) => i) } },
      'bounds',
    ],
    ['a filter that is no text', { accessLog: { ...valid.accessLog, filter: true } }, 'accessLog.filter'],
  ])('is refused with %s', ([, overrides, fault], { mesh }) => {
    const [error] = mesh.waypoint.apply(L7_PROXY_TYPE, refused({ ...valid, ...overrides }), [])
    expect(error?.reason).toContain(fault)
  })

  it('whose expressions are none is followed in the rest', async ({ mesh }) => {
    mesh.proxy({ tagOverrides: { REQUEST_COUNT: { a: '(', b: "'1'" } } })
    await mesh.get('/')
    expect(linesOf(mesh.metrics.expose(), 'istio_requests_total')).toEqual([expect.stringMatching(/,b="1"\} 1$/)])
  })
})
