import { expect } from 'vitest'
import type { Ground } from '../ztunnel/two-nodes.conformance.ts'
import { forwardRoute, waypointTest } from './mesh-with-waypoint.conformance.ts'

/** Of a waypoint: bytes of other protocols. */
export function describeBytes(makeGround: () => Ground): void {
  const it = waypointTest(makeGround)

  it('moves bytes of a protocol that it does not read', async ({ mesh }) => {
    const routes = [{ name: 'tcp', serverNames: [], destinationCidrs: [], backends: [{ cluster: 'web', weight: 1 }] }]
    mesh.chain({ tcp: { routes } })
    const program = await mesh.dial()
    const request = 'GET /through-tcp HTTP/1.1\r\nhost: web\r\n\r\n'
    const answer = await mesh.exchange(program, request)
    expect(answer.headers.server).toBeUndefined()
    program.stream.end()
    await mesh.ground.until(() => mesh.lines.length === 1)
    expect(mesh.lines).toEqual(['0 - -'])
    const metrics = mesh.metrics.expose()
    const labels =
      'reporter="waypoint",source_workload="curl",.*,destination_workload="web",.*,request_protocol="tcp",response_flags="-",connection_security_policy="mutual_tls"'
    for (const name of ['connections_opened', 'connections_closed']) {
      expect(metrics).toMatch(new RegExp(`istio_tcp_${name}_total\\{${labels}\\} 1\\n`))
    }
    expect(metrics).toMatch(new RegExp(`istio_tcp_received_bytes_total\\{${labels}\\} ${request.length}\\n`))
    expect(metrics).toMatch(new RegExp(`istio_tcp_sent_bytes_total\\{${labels}\\} [1-9]\\d+\\n`))
    expect(metrics).not.toContain('istio_requests_total{')
  })

  it('counts a connection that nobody could serve as opened and closed, with the reason', async ({ mesh }) => {
    const routes = [
      { name: 'tcp', serverNames: [], destinationCidrs: [], backends: [{ cluster: 'missing', weight: 1 }] },
    ]
    mesh.chain({ tcp: { routes } })
    const program = await mesh.dial()
    await mesh.ground.until(() => program.closed && mesh.lines.length > 0)
    expect(mesh.lines).toEqual(['0 NC -'])
    const metrics = mesh.metrics.expose()
    for (const name of ['connections_opened', 'connections_closed']) {
      expect(metrics).toMatch(new RegExp(`istio_tcp_${name}_total\\{.*,response_flags="NC",.*\\} 1\\n`))
    }
  })

  it('sniffs a protocol that nobody declared', async ({ mesh }) => {
    const routes = [{ name: 'tcp', serverNames: [], destinationCidrs: [], backends: [{ cluster: 'web', weight: 1 }] }]
    const http = { statPrefix: 'web', virtualHosts: [{ name: '*', domains: ['*'], routes: [forwardRoute()] }] }
    mesh.chain({ http, tcp: { routes }, sniff: true })
    expect((await mesh.get()).headers.server).toBe('istio-envoy')
  })
}
