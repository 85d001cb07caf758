import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createCsr, generateKeyPair, privateKeyToPem } from '@ambient-lab/pki'
import { readProcessRecords, SeededRandom, systemClock } from '@ambient-lab/std'
import { eventually, temporaryFolder } from '@ambient-lab/testing'
import { DiscoveryClient, dialWsLink, TYPE_URLS } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { parseConfig } from './config.ts'
import { startControlPlane } from './control-plane.ts'
import { describeFatal, EXIT, exitCodeOf } from './exit-codes.ts'
import { VERSION } from './version.ts'

function configFor(folder: string, ...more: string[]) {
  return parseConfig(['--lab', 'demo', '--state-dir', folder, '--log-level', 'error', ...more], {})
}

interface Credentials {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
}

/** The administrator, as the kubeconfig says. */
function administrator(folder: string): Credentials & { server: string } {
  const text = readFileSync(join(folder, 'kubeconfig'), 'utf8')
  const field = (name: string) => new RegExp(`${name}: (\\S+)`).exec(text)![1]!
  const pem = (name: string) => Buffer.from(field(name), 'base64').toString()
  return {
    server: field('server'),
    ca: pem('certificate-authority-data'),
    cert: pem('client-certificate-data'),
    key: pem('client-key-data'),
  }
}

async function call(url: string, credentials: Credentials, body?: unknown): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>()
  const headers = { 'content-type': 'application/json' }
  const sent = request(url, { ...credentials, headers, method: body ? 'POST' : 'GET', agent: false }, (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (part) => {
      text += part
    })
    response.on('end', () => resolve({ status: response.statusCode!, body: text }))
  })
  sent.on('error', reject)
  sent.end(body && JSON.stringify(body))
  return promise
}

describe('a control plane', () => {
  it('serves its API to whoever has its kubeconfig, and tells others where it is', async () => {
    await using folder = await temporaryFolder()
    const controlPlane = await startControlPlane(configFor(folder.path))
    const admin = administrator(folder.path)
    expect(admin.server).toBe(controlPlane.api)
    const { status, body } = await call(`${admin.server}/api/v1/namespaces`, admin)
    expect([status, JSON.parse(body).items.length]).toEqual([200, 3])
    expect(JSON.parse(readFileSync(join(folder.path, 'lab.json'), 'utf8'))).toMatchObject({
      ...{ name: 'demo', api: controlPlane.api, version: VERSION },
    })
    expect(readProcessRecords(join(folder.path, 'processes'))).toMatchObject([
      { role: 'control-plane', name: 'demo', pid: process.pid, ports: { api: Number(new URL(controlPlane.api).port) } },
    ])
    const modes = ['kubeconfig', 'control-plane/store.sqlite', 'control-plane/ca/ca-key.pem']
    expect(modes.map((path) => statSync(join(folder.path, path)).mode & 0o777)).toEqual([0o600, 0o600, 0o600])
    await controlPlane[Symbol.asyncDispose]()
    expect(readProcessRecords(join(folder.path, 'processes'))).toEqual([])
  })

  it('lets an agent join with a token, and serves it over its certificate', async () => {
    await using folder = await temporaryFolder()
    await using controlPlane = await startControlPlane(configFor(folder.path))
    const { api } = controlPlane
    const admin = administrator(folder.path)
    const token = await call(`${api}/apis/ambient.lab/v1/jointokens`, admin, {
      ...{ apiVersion: 'ambient.lab/v1', kind: 'JoinToken', metadata: { name: 'n1' }, spec: { node: 'n1' } },
    })
    const content = JSON.parse(Buffer.from(JSON.parse(token.body).status.token.slice(4), 'base64url').toString())
    expect(content).toMatchObject({ u: api, n: 'n1' })
    const keys = generateKeyPair()
    const csrPem = createCsr(keys, { subject: { commonName: 'n1' } })
    const { body: ca } = await call(`${api}/cacerts`, admin)
    const joining = { secret: content.s, node: 'n1', csrPem, version: VERSION }
    const joined = JSON.parse((await call(`${api}/join`, { ca }, joining)).body)
    const tls = { ca: joined.rootsPem, cert: joined.certificatePem, key: privateKeyToPem(keys.privateKey) }
    await using client = agentOf(`${api.replace('https', 'wss')}/discovery`, tls)
    client.start()
    await eventually(() => client.pendingTypes.length === 0)
    const node = JSON.parse((await call(`${api}/api/v1/nodes/n1`, admin)).body)
    expect(node.status.conditions).toMatchObject([{ type: 'Ready', status: 'True', reason: 'AgentReady' }])
    expect(node.spec.podCIDR).toBe('10.244.1.0/24')
    await expect(
      dialWsLink({ url: `${api.replace('https', 'wss')}/discovery`, tls: admin as never, clock: systemClock }),
    ).rejects.toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE', message: expect.stringContaining('403') })
    // An agent that is connected does not keep it from stopping.
    await controlPlane[Symbol.asyncDispose]()
    await eventually(() => !client.connected)
  })

  it('comes back on the port of the last time, with the authority and the objects of the last time', async () => {
    await using folder = await temporaryFolder()
    const first = await startControlPlane(configFor(folder.path))
    const before = administrator(folder.path)
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }
    await call(`${first.api}/api/v1/namespaces`, before, namespace)
    const { createdAt } = JSON.parse(readFileSync(join(folder.path, 'lab.json'), 'utf8'))
    await first[Symbol.asyncDispose]()
    await using second = await startControlPlane(configFor(folder.path))
    expect(second.api).toBe(first.api)
    expect((await call(`${second.api}/api/v1/namespaces/shop`, before)).status).toBe(200)
    expect(JSON.parse(readFileSync(join(folder.path, 'lab.json'), 'utf8')).createdAt).toBe(createdAt)
  })
})

describe('a control plane that cannot start says why, and what to do', () => {
  it('another one has the lab', async () => {
    await using folder = await temporaryFolder()
    await using _ = await startControlPlane(configFor(folder.path))
    const error: unknown = await startControlPlane(configFor(folder.path)).catch((reason: unknown) => reason)
    expect(exitCodeOf(error)).toBe(EXIT.cannotCreate)
    expect(describeFatal(error)).toContain(`in use by process ${process.pid}`)
  })

  it('something else has the port', async () => {
    await using folder = await temporaryFolder()
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
    const { port } = squatter.address() as { port: number }
    const taken = (...flags: string[]) =>
      startControlPlane(configFor(folder.path, ...flags)).catch((reason: unknown) => reason)
    const error = await taken('--port', String(port))
    expect([exitCodeOf(error), describeFatal(error)]).toEqual([73, expect.stringContaining(`port ${port} is taken by`)])
    writeFileSync(join(folder.path, 'control-plane', 'address.json'), JSON.stringify({ port }))
    expect(describeFatal(await taken())).toMatch(/its nodes look for it there\n {2}next: .*; or remove .*address.json/)
    squatter.close()
  })

  it('its folder cannot be made', async () => {
    await using folder = await temporaryFolder()
    writeFileSync(join(folder.path, 'file'), '')
    const error: unknown = await startControlPlane(configFor(join(folder.path, 'file', 'lab'))).catch(
      (reason: unknown) => reason,
    )
    expect([exitCodeOf(error), describeFatal(error)]).toEqual([
      73,
      expect.stringContaining('next: choose another folder'),
    ])
  })

  it('its authority is damaged', async () => {
    await using folder = await temporaryFolder()
    await (await startControlPlane(configFor(folder.path)))[Symbol.asyncDispose]()
    writeFileSync(join(folder.path, 'control-plane', 'ca', 'ca-cert.pem'), 'rubbish')
    const error: unknown = await startControlPlane(configFor(folder.path)).catch((reason: unknown) => reason)
    expect([exitCodeOf(error), describeFatal(error)]).toEqual([74, expect.stringContaining('next: restore')])
  })
})

function agentOf(url: string, tls: { ca: string; cert: string; key: string }): DiscoveryClient {
  return new DiscoveryClient({
    clock: systemClock,
    random: new SeededRandom(1),
    connect: () => dialWsLink({ url, tls, clock: systemClock }),
    handlers: {
      hello: () => ({
        ...{ node: 'n1', version: VERSION, pid: 1, startedAtMs: 0, machine: 'here' },
        ...{ hbone: { host: '127.0.0.1', port: 1 }, underlay: { host: '127.0.0.1', port: 2 } },
        ports: { admin: 3, metrics: 4, ready: 5 },
      }),
      apply: (typeUrl) => {
        expect(TYPE_URLS).toContain(typeUrl)
        return []
      },
      calls: {
        traffic: async () => ({ atMs: 0, connections: [], lost: 0, edges: [] }),
        log: async () => ({ lines: [] }),
        review: async () => ({ checkpoints: [] }),
        replay: async () => ({ decisions: 0, flips: [], refused: [] }),
        requests: async () => ({ requests: [] }),
      },
      onRefused: () => {},
    },
  })
}
