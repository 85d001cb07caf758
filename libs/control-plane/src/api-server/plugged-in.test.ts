import { connect } from 'node:tls'
import { CodedError } from '@ambient-lab/std'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ADMIN,
  type ClientCertificate,
  DEPLOYMENTS,
  deploymentBody,
  NODE,
  PODS,
  podBody,
  ROOT_PEM,
  strangerCertificate,
  TestApiServer,
  type TestClient,
  until,
} from './harness.conformance.ts'
import type { ApiServerHooks, UpgradeRequest } from './hooks.ts'
import { findPortOwner } from './port-owner.ts'
import { formatRequestLine } from './request-log.ts'
import { forbidden } from './status-error.ts'

const upgrades: UpgradeRequest[] = []

const hooks: ApiServerHooks = {
  plainRoutes: {
    'GET /cacerts': async () => ({ status: 200, body: ROOT_PEM, contentType: 'application/x-pem-file' }),
    'POST /join': async ({ body, user }) => ({
      status: 200,
      body: JSON.stringify({ echo: JSON.parse(body), as: user.name }),
    }),
  },
  virtual: {
    'ambient.lab/connections': {
      list: async ({ labelSelector, user }) => ({
        items: ['c1', 'c2'].map((name) => ({
          apiVersion: 'ambient.lab/v1',
          kind: 'Connection',
          metadata: { name, labels: { node: name } },
          spec: { asked: labelSelector, by: user.name },
        })),
        annotations: { 'ambient.lab/lost': '3' },
      }),
    },
  },
  createOnly: {
    'ambient.lab/jointokens': async ({ object, dryRun }) => ({ ...object, status: { token: dryRun ? '' : 'al1.x' } }),
  },
  subresources: {
    '/pods/log': async ({ object, query }, { response }) => {
      response.writeHead(200, { 'Content-Type': 'text/plain' })
      response.end(`log of ${object.metadata.name} ${query.get('container')}\n`)
    },
  },
  upgrades: {
    '/discovery': (upgrade) => {
      upgrades.push(upgrade)
      upgrade.socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello')
    },
  },
  admission: [
    {
      name: 'no-secrets-named-forbidden',
      admit: ({ object, kind }) => {
        if (object.metadata.name === 'forbidden')
          throw forbidden({ group: '', resource: kind.plural }, 'forbidden', 'not here')
        if (kind.kind !== 'Deployment') return undefined
        const annotations = { ...object.metadata.annotations, admitted: 'yes' }
        return {
          object: { ...object, metadata: { ...object.metadata, annotations } },
          warnings: ['AM0001 admitted "it"'],
        }
      },
    },
  ],
  warnings: ({ metadata }) => (metadata.name === 'warned' ? ['AM0104 näive'] : []),
  graceSeconds: { '/pods': ({ metadata }) => (metadata.labels?.graceful ? 30 : 0) },
}

let server: TestApiServer
let admin: TestClient
let anonymous: TestClient

beforeAll(async () => {
  server = await TestApiServer.start({ hooks })
  admin = server.client(ADMIN)
  anonymous = server.client(undefined)
})
afterAll(() => server[Symbol.asyncDispose]())

describe('what others plug in', () => {
  it('plain routes', async () => {
    expect((await anonymous.get('/cacerts')).text).toBe(ROOT_PEM)
    expect((await anonymous.post('/join', { n: 1 })).body).toEqual({ echo: { n: 1 }, as: 'system:anonymous' })
    expect((await anonymous.get('/join')).status).toBe(403)
  })

  it('virtual kinds are listed, filtered, got, and shown as tables', async () => {
    const path = '/apis/ambient.lab/v1/connections'
    const all = await admin.get(path)
    expect(all.body).toMatchObject({ kind: 'ConnectionList', metadata: { annotations: { 'ambient.lab/lost': '3' } } })
    expect(all.body.items).toHaveLength(2)
    const some = await admin.get(`${path}?labelSelector=node%3Dc2`)
    expect(some.body.items).toMatchObject([
      { metadata: { name: 'c2' }, spec: { asked: 'node=c2', by: 'ambient-admin' } },
    ])
    expect((await admin.get(`${path}/c1`)).body.metadata.name).toBe('c1')
    expect((await admin.get(`${path}/c9`)).status).toBe(404)
    expect((await admin.delete(`${path}/c1`)).status).toBe(405)
  })

  it('create-only kinds are validated, answered and not stored', async () => {
    const path = '/apis/ambient.lab/v1/jointokens'
    const before = server.store.revision
    const { status, body } = await admin.post(path, { metadata: { generateName: 't-' }, spec: { node: 'n1' } })
    expect([status, body.status, body.spec]).toEqual([201, { token: 'al1.x' }, { node: 'n1', ttlSeconds: 3600 }])
    expect((await admin.post(path, { metadata: { name: 't' }, spec: {} })).status).toBe(422)
    expect(server.store.revision).toBe(before)
  })

  it('subresources', async () => {
    await admin.post(PODS, podBody('logged'))
    expect((await admin.get(`${PODS}/logged/log?container=main`)).text).toBe('log of logged main\n')
    expect((await admin.get(`${PODS}/none/log`)).status).toBe(404)
  })

  it('admission changes, refuses and warns; warnings are headers of printable ASCII', async () => {
    const { body, headers } = await admin.post(DEPLOYMENTS, deploymentBody('warned'))
    expect(body.metadata.annotations).toEqual({ admitted: 'yes' })
    expect(headers.warning).toBe('299 - "AM0001 admitted \\"it\\"", 299 - "AM0104 n ive"')
    expect((await admin.post(PODS, podBody('forbidden'))).body).toMatchObject({
      code: 403,
      message: 'pods "forbidden" is forbidden: not here',
    })
  })

  it('grace marks an object and leaves it to its keeper; it can be shortened', async () => {
    await admin.post(PODS, podBody('slow', { graceful: 'yes' }))
    const { body } = await admin.delete(`${PODS}/slow`)
    expect(body.metadata).toMatchObject({ deletionGracePeriodSeconds: 30, generation: 2 })
    const again = await admin.delete(`${PODS}/slow`)
    expect(again.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion)
    const shorter = await admin.delete(`${PODS}/slow`, { gracePeriodSeconds: 1 })
    expect(shorter.body.metadata.deletionGracePeriodSeconds).toBe(1)
    const now = await admin.delete(`${PODS}/slow?gracePeriodSeconds=0`)
    expect(now.body).toMatchObject({ kind: 'Status', status: 'Success' })
    await admin.post(PODS, podBody('quick'))
    expect((await admin.delete(`${PODS}/quick`, { gracePeriodSeconds: 60 })).body.kind).toBe('Status')
  })

  it('upgrades of authenticated callers, with their certificate', async () => {
    expect(await upgrade('/discovery', NODE)).toMatch(/^HTTP\/1\.1 101 [\s\S]*hello$/)
    expect(upgrades).toHaveLength(1)
    expect(upgrades[0]?.user.name).toBe('system:node:n1')
    expect(upgrades[0]?.peerCertificate.subject).toContain('CN=system:node:n1')
    expect(await upgrade('/discovery', undefined)).toMatch(/^HTTP\/1\.1 401 /)
    expect(await upgrade('/discovery', strangerCertificate())).toMatch(/^HTTP\/1\.1 401 /)
    expect(await upgrade('/elsewhere', NODE)).toMatch(/^HTTP\/1\.1 404 /)
    expect(upgrades).toHaveLength(1)
  })
})

function upgrade(path: string, certificate: ClientCertificate | undefined): Promise<string> {
  const { host, port } = server.address
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      ca: ROOT_PEM,
      ...(certificate && { cert: certificate.certPem, key: certificate.keyPem }),
    })
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
  })
}

describe('the server itself', () => {
  it('logs each request once, with who and why', async () => {
    server.log.length = 0
    await admin.get(`${PODS}/gone`, { 'User-Agent': 'kubectl/v1.32.4 (linux)' })
    await until(() => server.log.length > 0)
    expect(server.log).toHaveLength(1)
    expect(formatRequestLine({ ...server.log[0]!, durationMs: 1.26 })).toBe(
      `GET ${PODS}/gone 404 1.3ms ambient-admin kubectl/v1.32.4 "pods \\"gone\\" not found"`,
    )
  })

  it('names the process that has its port', async () => {
    const taken = await TestApiServer.start({ port: server.address.port }).catch((error: unknown) => error)
    expect(taken).toBeInstanceOf(CodedError)
    expect(taken).toMatchObject({ code: 'PORT_TAKEN', where: `127.0.0.1:${server.address.port}` })
    if (process.platform === 'linux') {
      expect(findPortOwner(server.address.port)?.pid).toBe(process.pid)
      expect((taken as CodedError).message).toContain(`(pid ${process.pid})`)
    }
  })

  it('stops within its deadline although clients keep their connections', async () => {
    await using own = await TestApiServer.start()
    const client = own.client(ADMIN)
    await client.get('/healthz')
    await own.server[Symbol.asyncDispose]()
    await expect(client.get('/healthz')).rejects.toThrow()
  })
})
