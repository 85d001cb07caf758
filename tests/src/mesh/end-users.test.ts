import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))
const URL_GET = 'http://httpbin:8000/get'

let lab: AmbientLab

/** The commands of examples/end-users/README.md. */
beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', '--wait')
  await lab.ok('label', 'ns', 'default', 'istio.io/dataplane-mode=ambient')
  const files = ['httpbin', 'bookinfo/curl.yaml', 'end-users'].flatMap((name) => ['-f', `${EXAMPLES}/${name}`])
  await lab.ok('apply', ...files)
  await lab.ok('label', 'svc/httpbin', 'istio.io/use-waypoint=waypoint')
  await eventually(async () => expect(await call(URL_GET)).toMatchObject({ status: '403' }), { timeoutMs: 20_000 })
})

afterAll(() => lab[Symbol.asyncDispose]())

async function call(url: string, ...more: string[]): Promise<{ status: string; body: string }> {
  const curl = ['curl', '-s', '--max-time', '5', '-w', '\\n%{http_code}', ...more, url]
  const { stdout } = await lab.run(['exec', 'deploy/curl', '--', ...curl])
  const end = stdout.lastIndexOf('\n')
  return { status: stdout.slice(end + 1), body: stdout.slice(0, end) }
}

async function token(...flags: string[]): Promise<string[]> {
  return ['-H', `Authorization: Bearer ${(await lab.ok('token', ...flags)).trim()}`]
}

describe('end users', () => {
  test('a request without token is denied by policy, one with a bad token by its issuer’s rule', async () => {
    expect(await call(URL_GET)).toEqual({ status: '403', body: 'RBAC: access denied' })
    expect(await call(URL_GET, '-H', 'Authorization: Bearer x.y.z')).toMatchObject({ status: '401' })
    expect((await call(URL_GET, '-H', 'Authorization: Bearer x.y.z')).body).toMatch(/^Jwt /)
  })

  test('claims decide who may do what', async () => {
    const reader = await token('--subject', 'alice', '--scope', 'read')
    expect(await call(URL_GET, ...reader)).toMatchObject({ status: '200' })
    expect(await call('http://httpbin:8000/post', '-X', 'POST', ...reader)).toMatchObject({ status: '403' })
    const admin = await token('--subject', 'root', '--claim', 'groups=["admins"]')
    expect(await call('http://httpbin:8000/post', '-X', 'POST', ...admin)).toMatchObject({ status: '200' })
  })

  test('a token for somebody else is 403', async () => {
    const other = await token('--scope', 'read', '--audience', 'another')
    expect(await call(URL_GET, ...other)).toEqual({ status: '403', body: 'Audiences in Jwt are not allowed' })
  })

  test('diff tells which requests another policy would turn, and lets none of them in', async () => {
    const reader = await token('--subject', 'alice', '--scope', 'read')
    expect(await call(URL_GET, ...reader)).toMatchObject({ status: '200' })
    const policies = readFileSync(`${EXAMPLES}/end-users/policies.yaml`, 'utf8')
    const input = policies.replace('values: [read]', 'values: [nothing]').replace('values: [admins]', 'values: ["*"]')
    const { code, stdout } = await lab.run(['diff', '-f', '-', '-o', 'json'], { input })
    expect(code).toBe(1)
    const { effect } = JSON.parse(stdout) as { effect: { flips: readonly { request?: string; becomes: string }[] } }
    expect(effect.flips).toContainEqual(
      expect.objectContaining({
        ...{ at: 'waypoint default/waypoint', request: 'GET /get', destination: 'httpbin.default', port: 8000 },
        ...{ becomes: 'denied', reason: 'allow policies exist, but none allowed' },
      }),
    )
    expect(await call(URL_GET, ...reader)).toMatchObject({ status: '200' })
  })

  test('the keys come through the mesh, as the waypoint', async () => {
    const { items } = await lab.json<{ items: readonly { spec: { source: { identity: string } } }[] }>(
      'get',
      'connections',
    )
    expect(items.map(({ spec }) => spec.source.identity)).toContain('spiffe://cluster.local/ns/default/sa/waypoint')
  })
})
