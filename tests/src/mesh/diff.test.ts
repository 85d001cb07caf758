import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'

let lab: AmbientLab

beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', 'demo', '--wait')
  for (let call = 0; call < 3; call += 1) {
    await lab.ok('exec', 'deploy/curl', '--', 'curl', '-s', '-o', '/dev/null', 'http://details:9080/details/0')
  }
})

afterAll(() => lab[Symbol.asyncDispose]())

const policy = (account: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: details, namespace: default}
spec:
  selector: {matchLabels: {app: details}}
  rules: [{from: [{source: {serviceAccounts: [${account}]}}]}]
`

interface Difference {
  readonly objects: readonly { readonly name: string; readonly outcome: string; readonly patch: string }[]
  readonly effect: {
    readonly decisions: number
    readonly flips: readonly { readonly identity: string; readonly count: number; readonly becomes: string }[]
  }
}

async function diff(text: string): Promise<{ code: number; document: Difference }> {
  const { code, stdout } = await lab.run(['diff', '-f', '-', '-o', 'json'], { input: text })
  return { code, document: JSON.parse(stdout) as Difference }
}

test('tells before it is applied which calls a policy would turn away', async () => {
  const { code, document } = await diff(policy('nobody'))
  expect(code).toBe(1)
  expect(document.objects).toMatchObject([{ name: 'authorizationpolicy/details -n default', outcome: 'created' }])
  const denied = document.effect.flips.find(({ identity }) => identity.endsWith('/sa/curl'))
  expect(denied).toMatchObject({ becomes: 'denied' })
  expect(denied!.count).toBeGreaterThanOrEqual(3)
  const { stdout } = await lab.run(['get', 'authorizationpolicies', '-o', 'name'])
  expect(stdout).toBe('')
})

test('and which it would let in again; no difference is exit 0', async () => {
  await lab.run(['apply', '-f', '-'], { input: policy('nobody') })
  expect(await diff(policy('nobody'))).toMatchObject({ code: 0, document: { objects: [], effect: { flips: [] } } })
  const { document } = await diff(policy('curl'))
  expect(document.objects[0]).toMatchObject({
    outcome: 'changed',
    patch: expect.stringMatching(/^-.*nobody\n\+.*curl$/m),
  })
  expect(document.effect.flips).toMatchObject([{ identity: expect.stringMatching(/sa\/curl$/), becomes: 'allowed' }])
})
