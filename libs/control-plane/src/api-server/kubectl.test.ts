import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ADMIN,
  deploymentBody,
  PODS,
  podBody,
  ROOT_PEM,
  TestApiServer,
  type TestClient,
  until,
} from './harness.conformance.ts'

/** The program's first word about itself, or undefined where there is none. */
function kubectlVersion(): string | undefined {
  try {
    return execFileSync('kubectl', ['version', '--client'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return undefined
  }
}

const installed = kubectlVersion() !== undefined

describe.skipIf(!installed)('kubectl (skipped where it is not installed)', () => {
  let server: TestApiServer
  let admin: TestClient
  let folder: string

  beforeAll(async () => {
    server = await TestApiServer.start({
      hooks: {
        warnings: ({ metadata }) => (metadata.name === 'warned' ? ['AM0104 look'] : []),
        createOnly: {
          'ambient.lab/pathreviews': async ({ object }) => ({ ...object, status: { allowed: false, summary: 'no' } }),
        },
      },
    })
    admin = server.client(ADMIN)
    folder = mkdtempSync(join(tmpdir(), 'ambient-kubectl-'))
    writeFileSync(join(folder, 'config'), kubeconfig(server.address.url), { mode: 0o600 })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  const environment = () => ({ ...process.env, HOME: folder, KUBECONFIG: join(folder, 'config') })

  async function kubectl(...parameters: string[]): Promise<{ stdout: string; stderr: string; code: number }> {
    try {
      const done = await promisify(execFile)('kubectl', parameters, { env: environment(), timeout: 15_000 })
      return { ...done, code: 0 }
    } catch (error) {
      const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: number }
      return { stdout, stderr, code }
    }
  }

  function manifest(name: string, ...objects: object[]): string {
    const path = join(folder, name)
    writeFileSync(path, objects.map((object) => JSON.stringify(object)).join('\n---\n'))
    return path
  }

  it('applies, applies again, and takes a change back', async () => {
    const file = manifest('d.yaml', deploymentBody('web', 2))
    expect(await kubectl('apply', '-f', file)).toMatchObject({
      stdout: 'deployment.apps/web created\n',
      stderr: '',
      code: 0,
    })
    expect((await kubectl('apply', '-f', file)).stdout).toBe('deployment.apps/web unchanged\n')
    const changed = deploymentBody('web', 3)
    const withSide = structuredClone(changed) as { spec: { template: { spec: { containers: object[] } } } }
    withSide.spec.template.spec.containers.push({ name: 'side', image: 'curl' })
    expect((await kubectl('apply', '-f', manifest('d2.yaml', withSide))).stdout).toBe(
      'deployment.apps/web configured\n',
    )
    const containers = async () =>
      (await admin.get('/apis/apps/v1/namespaces/default/deployments/web')).body.spec.template.spec.containers
    expect(await containers()).toHaveLength(2)
    expect((await kubectl('apply', '-f', file)).stdout).toBe('deployment.apps/web configured\n')
    expect(await containers()).toHaveLength(1)
  })

  it('applies on the server’s side, also kinds that it does not know', async () => {
    const fault = {
      apiVersion: 'ambient.lab/v1',
      kind: 'Fault',
      metadata: { name: 'slow' },
      spec: { type: 'link.delay', from: ['n1'], to: ['n2'], params: { delay: '20ms' }, duration: '1m' },
    }
    const file = manifest('fault.yaml', fault)
    expect((await kubectl('apply', '--server-side', '-f', file)).stdout).toBe(
      'fault.ambient.lab/slow serverside-applied\n',
    )
    expect((await kubectl('get', 'flt')).stdout).toMatch(/^NAME +TYPE +TARGET +PARAMS +STATE +LEFT +WHO\b/)
    expect((await kubectl('delete', 'faults', '--all')).stdout).toBe('fault.ambient.lab "slow" deleted\n')
  })

  it('gets tables, wide ones, JSON and nothing', async () => {
    await admin.post(PODS, podBody('listed', { app: 'listed' }))
    const table = await kubectl('get', 'wl', '-l', 'app=listed')
    expect(table.stdout).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE\nlisted +0\/1 +Pending +0 +\d+s\n$/)
    expect((await kubectl('get', 'pods', '-A', '-o', 'wide')).stdout).toMatch(
      /^NAMESPACE +NAME +READY +STATUS +RESTARTS +AGE +IP +NODE/,
    )
    expect((await kubectl('get', 'pod', 'listed', '-o', 'jsonpath={.metadata.name}')).stdout).toBe('listed')
    expect((await kubectl('get', 'pod', 'none')).stderr).toBe('Error from server (NotFound): pods "none" not found\n')
    expect((await kubectl('get', 'all')).stdout).toContain('pod/listed')
    expect((await kubectl('get', 'pods', '--chunk-size=1', '-o', 'name')).stdout).toContain('pod/listed')
  })

  it('watches', async () => {
    const child = spawn('kubectl', ['get', 'configmaps', '-w', '--no-headers', '-o', 'name'], { env: environment() })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    await until(() => server.server.watches > 0)
    await kubectl('create', 'configmap', 'seen', '--from-literal=a=1')
    await until(() => output.includes('configmap/seen'))
    child.kill()
  })

  it('says what to use instead of what needs a stream into the pod', async () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'curl' }, spec: { containers: [{ name: 'curl' }] } }
    await kubectl('apply', '-f', manifest('pod.yaml', pod))
    const { code, stderr } = await kubectl('exec', 'curl', '--', 'ls')
    expect(stderr).toContain('ambient exec curl -- COMMAND')
    expect(code).toBe(1)
  })

  it('scales, labels, patches, annotates, edits the status, waits and deletes', async () => {
    await kubectl('apply', '-f', manifest('e.yaml', deploymentBody('worker')))
    expect((await kubectl('scale', 'deploy/worker', '--replicas=4')).stdout).toBe('deployment.apps/worker scaled\n')
    expect((await kubectl('label', 'deploy/worker', 'tier=web')).stdout).toBe('deployment.apps/worker labeled\n')
    expect((await kubectl('annotate', 'deploy/worker', 'note=x')).stdout).toBe('deployment.apps/worker annotated\n')
    const patch = '[{"op":"replace","path":"/spec/replicas","value":1}]'
    expect((await kubectl('patch', 'deploy/worker', '--type=json', '-p', patch)).stdout).toContain('patched')
    const waiting = kubectl('wait', 'deploy/worker', '--for=condition=Available', '--timeout=10s')
    const conditions = { status: { conditions: [{ type: 'Available', status: 'True' }] } }
    const status = await kubectl(
      'patch',
      'deploy/worker',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify(conditions),
    )
    expect(status.stdout).toContain('patched')
    expect((await waiting).stdout).toBe('deployment.apps/worker condition met\n')
    expect(await kubectl('delete', 'deploy/worker')).toMatchObject({
      stdout: 'deployment.apps "worker" deleted\n',
      code: 0,
    })
  })

  it('prints our warnings and our findings', async () => {
    const warned = await kubectl('apply', '-f', manifest('w.yaml', deploymentBody('warned')))
    expect(warned.stderr).toBe('Warning: AM0104 look\n')
    const typo = { ...deploymentBody('typo'), spec: { ...(deploymentBody('typo').spec as object), replica: 2 } }
    const refused = await kubectl('apply', '-f', manifest('t.yaml', typo))
    expect(refused.stderr).toContain('strict decoding error: unknown field "spec.replica"')
    const wrong = { ...deploymentBody('wrong'), spec: { ...(deploymentBody('wrong').spec as object), replicas: -1 } }
    const invalid = await kubectl('create', '-f', manifest('i.yaml', wrong))
    expect(invalid.stderr).toMatch(/^The Deployment "wrong" is invalid: spec\.replicas: Invalid value: -1/)
  })

  it('describes, explains, and knows who it is', async () => {
    await admin.post(PODS, podBody('described'))
    expect((await kubectl('describe', 'pod', 'described')).stdout).toMatch(/^Name: +described\nNamespace: +default/)
    expect((await kubectl('explain', 'fault.spec.duration')).stdout).toContain('FIELD: duration <string>')
    expect((await kubectl('auth', 'whoami')).stdout).toContain('ambient-admin')
    expect((await kubectl('auth', 'can-i', 'delete', 'pods')).stdout).toBe('yes\n')
    expect((await kubectl('api-resources', '-o', 'name')).stdout).toContain('authorizationpolicies.security.istio.io')
    expect((await kubectl('version')).stdout).toContain('ambient-lab')
  })

  it('asks what can only be asked, and hears of a field that nobody knows', async () => {
    const review = (spec: object) => ({
      apiVersion: 'ambient.lab/v1',
      kind: 'PathReview',
      metadata: { name: 'ask' },
      spec,
    })
    const asked = await kubectl(
      'create',
      '-o',
      'jsonpath={.status.summary}',
      '-f',
      manifest('r.yaml', review({ requestId: 'x' })),
    )
    expect(asked).toMatchObject({ code: 0, stdout: 'no' })
    const wrong = await kubectl('create', '-f', manifest('r.yaml', review({ requestId: 'x', wont: 1 })))
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('unknown field "spec.wont"') })
  })

  it('makes and removes namespaces', async () => {
    expect((await kubectl('create', 'namespace', 'shop')).stdout).toBe('namespace/shop created\n')
    expect((await kubectl('get', 'ns', 'shop', '--no-headers')).stdout).toMatch(/^shop +Active/)
    expect((await kubectl('create', 'deployment', 'x', '--image=curl', '-n', 'shop')).stdout).toBe(
      'deployment.apps/x created\n',
    )
    expect((await kubectl('delete', 'namespace', 'shop', '--timeout=10s')).code).toBe(0)
    expect((await kubectl('get', 'namespace', 'shop')).stderr).toContain('not found')
  })
})

function kubeconfig(url: string): string {
  const encode = (pem: string) => Buffer.from(pem).toString('base64')
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'lab',
    clusters: [{ name: 'lab', cluster: { server: url, 'certificate-authority-data': encode(ROOT_PEM) } }],
    users: [
      {
        name: 'admin',
        user: { 'client-certificate-data': encode(ADMIN.certPem), 'client-key-data': encode(ADMIN.keyPem) },
      },
    ],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'admin' } }],
  })
}
