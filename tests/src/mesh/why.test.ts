import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AmbientLab } from './ambient.ts'
import { connections } from './objects.ts'

let lab: AmbientLab

beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', 'demo', '--wait')
})

afterAll(() => lab[Symbol.asyncDispose]())

interface Why {
  readonly status: {
    readonly allowed: boolean
    readonly summary: string
    readonly checkpoints: readonly {
      readonly point: string
      readonly verdict: string
      readonly policies?: readonly { readonly policy: string }[]
    }[]
  }
}

const ALLOW_WEB = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-web, namespace: default}
spec:
  selector: {matchLabels: {app: productpage}}
  rules: [{from: [{source: {serviceAccounts: [web]}}]}]
`
const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: default}
spec: {mtls: {mode: STRICT}}
`

/** What the machine's real curl gets, and what \`why\` says that it gets. */
async function both(service: string): Promise<{ got: boolean; said: boolean; why: Why['status'] }> {
  const url = `http://${service}:9080/health`
  const curl = await lab.run(['exec', 'deploy/curl', '--', 'curl', '-s', '-o', '/dev/null', '--max-time', '5', url])
  const why = await lab.run(['why', 'deploy/curl', `svc/${service}`, '-o', 'json'])
  const { status } = JSON.parse(why.stdout) as Why
  expect(why.code).toBe(status.allowed ? 0 : 1)
  return { got: curl.code === 0, said: status.allowed, why: status }
}

describe('why', () => {
  test.each(['productpage', 'details', 'reviews'])('says yes where a request passes: %s', async (service) => {
    expect(await both(service)).toMatchObject({ got: true, said: true })
  })

  test('says no where it does not, and names the policy', async () => {
    await lab.run(['apply', '-f', '-'], { input: ALLOW_WEB })
    const { got, said, why } = await both('productpage')
    expect({ got, said }).toEqual({ got: false, said: false })
    expect(why.checkpoints.at(-1)).toMatchObject({
      point: 'allow',
      verdict: 'denied',
      policies: [{ policy: 'default/only-web' }],
    })
    expect(await both('details')).toMatchObject({ got: true, said: true })
    const refused = (await connections(lab)).find(({ responseFlags }) => responseFlags === 'DENY')!
    const byId = await lab.run(['why', refused.id, '-o', 'json'])
    expect(byId.code).toBe(1)
    expect((JSON.parse(byId.stdout) as Why).status).toMatchObject({
      fix: ['ALLOW default/only-web, rule 1: add default/curl to serviceAccounts'],
      checkpoints: expect.arrayContaining([expect.objectContaining({ point: 'allow', verdict: 'denied' })]),
    })
    expect(await lab.run(['why', 'n0-0'])).toMatchObject({ code: 2 })
    await lab.ok('delete', 'authorizationpolicy/only-web')
    expect(await both('productpage')).toMatchObject({ got: true, said: true })
  })

  test('knows that mutual TLS passes a STRICT namespace', async () => {
    await lab.run(['apply', '-f', '-'], { input: STRICT })
    const { got, said, why } = await both('details')
    expect({ got, said }).toEqual({ got: true, said: true })
    expect(why.checkpoints.find(({ point }) => point === 'deny')?.policies).toHaveLength(1)
  })

  test.each([
    [['deploy/nobody', 'svc/details'], /nothing runs as deploy\/nobody/],
    [['deploy/curl', 'svc/nowhere'], /services "nowhere" not found/],
  ])('exit 2 where caller or target is unknown: %s', async (args, message) => {
    const { code, stderr } = await lab.run(['why', ...args])
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
  })

  test('can: one line and an exit code', async () => {
    expect(await lab.run(['can', 'deploy/curl', 'svc/details'])).toMatchObject({ code: 0, stdout: 'yes\n' })
    const closed = await lab.run(['can', 'deploy/curl', 'details:1234'])
    expect(closed).toMatchObject({ code: 1, stdout: expect.stringMatching(/^no: refused at ztunnel n\d: /) })
  })
})
