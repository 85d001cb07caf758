import { fileURLToPath } from 'node:url'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))
const FIXTURES = fileURLToPath(new URL('fixtures', import.meta.url))
const PATIENCE = { timeoutMs: 15_000 }

interface Pod {
  readonly metadata: { readonly name: string }
  readonly status?: { readonly ambientLab?: { readonly ports?: Readonly<Record<string, { readonly port: number }>> } }
}

let lab: AmbientLab

/** The objects of examples/canary and examples/gateway; what their READMEs say is in examples.test.ts. */
beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', '--wait')
  await lab.ok('label', 'ns', 'default', 'istio.io/dataplane-mode=ambient')
  const files = ['bookinfo/bookinfo.yaml', 'bookinfo/curl.yaml', 'canary', 'gateway']
  await lab.ok('apply', ...files.flatMap((name) => ['-f', `${EXAMPLES}/${name}`]))
  await lab.ok('label', 'ns', 'default', 'istio.io/use-waypoint=waypoint')
})

afterAll(() => lab[Symbol.asyncDispose]())

function reviews(): Promise<string> {
  const curl = ['curl', '-si', '--max-time', '10', 'http://reviews:9080/reviews/0']
  return lab.run(['exec', 'deploy/curl', '--', ...curl]).then(({ stdout }) => stdout)
}

async function portOf(pod: string, port: string): Promise<number | undefined> {
  const { items } = JSON.parse(await lab.ok('get', 'pods', '-o', 'json')) as { readonly items: readonly Pod[] }
  return items.find(({ metadata }) => metadata.name.startsWith(pod))?.status?.ambientLab?.ports?.[port]?.port
}

describe('requests', () => {
  test('go through a waypoint by its route, to the versions that it names', async () => {
    await eventually(async () => expect(await reviews()).toContain('x-route: canary'), PATIENCE)
    for (let count = 0; count < 10; count += 1) {
      const answer = await reviews()
      expect(answer).toMatch(/^HTTP\/1\.1 200 /)
      expect(answer).toContain('server: istio-envoy')
      expect(answer).toMatch(/"podname":"reviews-v[12]-/)
    }
    const metrics = await fetch(`http://127.0.0.1:${await portOf('waypoint-', '15020')}/metrics`)
    expect(await metrics.text()).toMatch(/istio_requests_total\{reporter="waypoint",source_workload="curl",.* \d+/)
  })

  test('follow a route that changes, and the ztunnel’s own choice when the waypoint is not asked for any more', async () => {
    await lab.ok('delete', 'httproute', 'reviews')
    await eventually(async () => expect(await reviews()).not.toContain('x-route'), PATIENCE)
    expect(await reviews()).toContain('server: istio-envoy')
    await lab.ok('label', 'ns', 'default', 'istio.io/use-waypoint-')
    await eventually(async () => expect(await reviews()).not.toContain('istio-envoy'), PATIENCE)
  })

  test('come in by a gateway from outside of the mesh', async () => {
    const port = await eventually(() => portOf('bookinfo-gateway-', '80'), PATIENCE)
    const page = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/productpage`, { signal: AbortSignal.timeout(5000) })
      return [response.status, response.headers.get('server')]
    }
    await eventually(async () => expect(await page()).toEqual([200, 'istio-envoy']), PATIENCE)
    expect((await fetch(`http://127.0.0.1:${port}/other`)).status).toBe(404)
  })

  test('are counted at a gateway by a rate limit service, as Istio’s documents deploy it', async () => {
    await lab.ok('apply', '-f', `${EXAMPLES}/rate-limit/rate-limit-service.yaml`)
    await lab.ok('apply', '-f', `${FIXTURES}/gateway-rate-limit.yaml`)
    const port = await portOf('bookinfo-gateway-', '80')
    const page = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/productpage`, { signal: AbortSignal.timeout(5000) })
      return [response.status, response.headers.get('x-envoy-ratelimited')]
    }
    await eventually(async () => expect(await page()).toEqual([429, 'true']), PATIENCE)
    const rlconfig = ['curl', '-s', 'http://ratelimit:6070/rlconfig']
    expect(await lab.ok('exec', 'deploy/curl', '--', ...rlconfig)).toContain(
      'productpage-ratelimit.PATH_/productpage: ',
    )
  })
})
