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
  workloadCertificate,
} from './harness.conformance.ts'
import type { ApiServerHooks, UpgradeRequest } from './hooks.ts'
import { BODY_BYTES_MAX } from './limits.ts'
import { findPortOwner } from './port-owner.ts'
import { formatRequestLine } from './request-log.ts'
import { forbidden } from './status-error.ts'

const upgrades: UpgradeRequest[] = []
let ready = false

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
  notReady: () => (ready ? undefined : 'certificate authority'),
}

let server: TestApiServer
let admin: TestClient
let anonymous: TestClient
let node: TestClient

beforeAll(async () => {
  server = await TestApiServer.start({ hooks })
  admin = server.client(ADMIN)
  anonymous = server.client(undefined)
  node = server.client(NODE)
})
afterAll(() => server[Symbol.asyncDispose]())

describe('who may do what', () => {
  it.each(['/healthz', '/livez', '/version', '/cacerts'])('anyone may read %s', async (path) => {
    for (const client of [admin, anonymous, node]) expect((await client.get(path)).status).toBe(200)
  })

  it.each([
    [
      'anonymous',
      'GET',
      PODS,
      'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"',
    ],
    [
      'a node',
      'GET',
      '/api/v1/nodes',
      'nodes is forbidden: User "system:node:n1" cannot list resource "nodes" in API group "" at the cluster scope',
    ],
    [
      'a node',
      'DELETE',
      `${DEPLOYMENTS}/x`,
      'deployments.apps "x" is forbidden: User "system:node:n1" cannot delete resource "deployments" in API group "apps" in the namespace "default"',
    ],
    [
      'a node',
      'GET',
      `${PODS}/x/log`,
      'pods "x" is forbidden: User "system:node:n1" cannot get resource "pods/log" in API group "" in the namespace "default"',
    ],
    ['anonymous', 'GET', '/apis', 'forbidden: User "system:anonymous" cannot get path "/apis"'],
    ['a node', 'GET', '/metrics', 'forbidden: User "system:node:n1" cannot get path "/metrics"'],
  ])('%s may not %s %s', async (who, method, path, message) => {
    const answer = await (who === 'anonymous' ? anonymous : node).call(method, path)
    expect(answer.body).toMatchObject({ kind: 'Status', code: 403, reason: 'Forbidden', message })
  })

  it.each<[string, () => ClientCertificate]>([
    ['of an unknown authority', strangerCertificate],
    ['of a workload, which names nobody', workloadCertificate],
  ])('a certificate %s is refused, not taken for anonymous', async (_, certificate) => {
    const client = server.client(certificate())
    for (const path of [PODS, '/version']) {
      expect((await client.get(path)).body).toMatchObject({
        code: 401,
        reason: 'Unauthorized',
        message: 'Unauthorized',
      })
    }
  })

  it('knows a caller who resumes a TLS session', async () => {
    const options = {
      host: server.address.host,
      port: server.address.port,
      ca: ROOT_PEM,
      cert: ADMIN.certPem,
      key: ADMIN.keyPem,
    }
    const ask = (session?: Buffer) =>
      new Promise<{ reused: boolean; text: string; session: Buffer | undefined }>((resolve, reject) => {
        let ticket: Buffer | undefined
        let text = ''
        const socket = connect({ ...options, ...(session && { session }) })
        socket.on('session', (next) => {
          ticket = next
        })
        socket.on('data', (chunk) => {
          text += chunk
        })
        socket.on('end', () => resolve({ reused: socket.isSessionReused(), text, session: ticket }))
        socket.on('error', reject)
        socket.write(`GET ${PODS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      })
    const first = await ask()
    const second = await ask(first.session)
    expect(second.reused).toBe(true)
    expect([first, second].map(({ text }) => text.split('\r\n')[0])).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 200 OK'])
  })

  it('answers what a caller may do', async () => {
    const review = { spec: { resourceAttributes: { verb: 'list', resource: 'pods' } } }
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
    expect((await admin.post(path, review)).body.status).toEqual({ allowed: true })
    const who = await admin.post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {})
    expect(who.body.status.userInfo).toEqual({
      username: 'ambient-admin',
      groups: ['system:masters', 'system:authenticated'],
    })
  })
})

describe('paths and methods', () => {
  it.each([
    ['GET', '/api/v1/namespaces/default/widgets', 404, 'the server could not find the requested resource'],
    ['GET', '/apis/nothing/v1/pods', 404, 'the server could not find the requested resource'],
    ['GET', '/apis/apps/v9/deployments', 404, 'the server could not find the requested resource'],
    ['GET', '/elsewhere', 404, 'the server could not find the requested resource'],
    ['GET', '/api/v1/namespaces/default/nodes', 404, 'the server could not find the requested resource'],
    ['GET', '/api/v1/pods/x', 404, 'the server could not find the requested resource'],
    ['GET', `${PODS}/x/nothing`, 404, 'the server could not find the requested resource'],
    ['GET', '/api/v1/%zz', 400, 'the path of the request is not valid'],
    ['PUT', PODS, 405, 'the server does not allow this method on the requested resource'],
    ['POST', `${PODS}/x`, 405, 'the server does not allow this method on the requested resource'],
    ['OPTIONS', PODS, 405, 'the server does not allow this method on the requested resource'],
    ['POST', '/version', 405, 'the server does not allow this method on the requested resource'],
    ['GET', '/apis/ambient.lab/v1/jointokens', 405, 'the server does not allow this method on the requested resource'],
    [
      'GET',
      '/apis/ambient.lab/v1/connections?watch=1',
      405,
      'the server does not allow this method on the requested resource',
    ],
  ])('%s %s is %i', async (method, path, status, message) => {
    const answer = await admin.call(method, path)
    expect(answer.body).toMatchObject({ kind: 'Status', code: status, message })
    expect(answer.status).toBe(status)
  })

  it('answers JSON to those who prefer protobuf, and reads of it what typed clients send', async () => {
    const protobuf = 'application/vnd.kubernetes.protobuf'
    const body = await admin.call('POST', PODS, {
      body: 'k8s\0\n\x0a\n\x02v1\x12\x04Node',
      headers: { 'Content-Type': protobuf },
    })
    expect(body.body).toMatchObject({ code: 415, reason: 'UnsupportedMediaType' })
    expect((await admin.get(PODS, { Accept: protobuf })).body).toMatchObject({ code: 406, reason: 'NotAcceptable' })
    expect((await admin.get(PODS, { Accept: `${protobuf},application/json` })).status).toBe(200)
  })

  it.each(['declared', 'chunked'])('refuses a body that is too large, %s', async (how) => {
    const body = `{"x":"${'y'.repeat(BODY_BYTES_MAX)}"}`
    const headers = how === 'chunked' ? { 'Transfer-Encoding': 'chunked' } : {}
    const answer = await admin
      .call('POST', PODS, { body, headers })
      .catch((error: NodeJS.ErrnoException) => ({ status: error.code, body: undefined }))
    // The server stops reading: the client has either the answer or a broken pipe.
    expect([413, 'EPIPE', 'ECONNRESET']).toContain(answer.status)
    if (answer.body) expect(answer.body).toMatchObject({ reason: 'RequestEntityTooLarge' })
    expect((await admin.get('/healthz')).status).toBe(200)
  })

  it('answers HEAD without a body', async () => {
    const { status, text } = await admin.call('HEAD', PODS)
    expect({ status, text }).toEqual({ status: 200, text: '' })
  })
})

describe('health and version', () => {
  it('is ready when the others are', async () => {
    const before = await anonymous.get('/readyz')
    expect([before.status, before.text]).toEqual([503, '[-]certificate authority not ready\nreadyz check failed\n'])
    ready = true
    expect((await anonymous.get('/readyz')).text).toBe('ok')
  })

  it('tells a version that clients can compare', async () => {
    expect((await anonymous.get('/version')).body).toMatchObject({
      major: '1',
      minor: expect.stringMatching(/^\d+$/),
      gitVersion: expect.stringMatching(/^v1\.\d+\.\d+\+ambient-lab\.0\.0\.0-test$/),
    })
  })
})

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

describe('discovery', () => {
  it('lists groups, versions and resources, also in one document', async () => {
    expect((await admin.get('/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] })
    const groups = (await admin.get('/apis')).body
    expect(groups.groups.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['apps', 'ambient.lab']),
    )
    expect((await admin.get('/apis/apps')).body).toMatchObject({
      kind: 'APIGroup',
      preferredVersion: { version: 'v1' },
    })
    expect((await admin.get('/apis/nothing')).status).toBe(404)
    const { body } = await admin.get('/apis/apps/v1')
    const names = body.resources.map(({ name }: { name: string }) => name)
    expect(names).toEqual(
      expect.arrayContaining(['deployments', 'deployments/status', 'deployments/scale', 'replicasets']),
    )
    const v2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
    const aggregated = await admin.get('/api', { Accept: `${v2},application/json` })
    expect(aggregated.headers['content-type']).toBe(
      'application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2',
    )
    const pods = aggregated.body.items[0].versions[0].resources.find(
      ({ resource }: { resource: string }) => resource === 'pods',
    )
    expect(pods).toMatchObject({
      singularResource: 'pod',
      shortNames: expect.arrayContaining(['po']),
      scope: 'Namespaced',
    })
    expect(pods.subresources).toEqual(expect.arrayContaining([expect.objectContaining({ subresource: 'log' })]))
  })

  it('has schemas for explain and for field validation', async () => {
    const { paths } = (await admin.get('/openapi/v3')).body
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['api/v1', 'apis/apps/v1']))
    const { body } = await admin.get(paths['apis/apps/v1'].serverRelativeURL)
    const patch = body.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'].patch
    expect(patch['x-kubernetes-group-version-kind']).toEqual({ group: 'apps', version: 'v1', kind: 'Deployment' })
    expect(patch.parameters).toContainEqual({ name: 'fieldValidation', in: 'query', schema: { type: 'string' } })
    expect(body.components.schemas['apps.v1.Deployment'].properties.spec.properties.replicas.type).toBe('integer')
    expect((await admin.get('/openapi/v3/apis/none/v1')).status).toBe(404)
  })
})

describe('tables', () => {
  const Accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'

  it('have our columns and, on demand, whole objects', async () => {
    await admin.post(DEPLOYMENTS, deploymentBody('tabled', 2))
    const { body } = await admin.get(`${DEPLOYMENTS}?fieldSelector=metadata.name%3Dtabled`, { Accept })
    expect(
      body.columnDefinitions.map(({ name, priority }: { name: string; priority: number }) => `${name}${priority}`),
    ).toEqual(['Name0', 'Ready0', 'Up-To-Date0', 'Available0', 'Age0', 'Containers1', 'Images1', 'Selector1'])
    expect(body.rows).toMatchObject([
      {
        cells: ['tabled', '0/2', 0, 0, expect.any(String), 'main', 'reviews', 'app=tabled'],
        object: { kind: 'PartialObjectMetadata' },
      },
    ])
    const whole = await admin.get(`${DEPLOYMENTS}/tabled?includeObject=Object`, { Accept })
    expect(whole.body.rows[0].object).toMatchObject({ kind: 'Deployment', spec: { replicas: 2 } })
    const none = await admin.get(`${DEPLOYMENTS}?includeObject=None`, { Accept })
    expect(none.body.rows[0].object).toBeNull()
    expect((await admin.get(`${DEPLOYMENTS}?includeObject=Some`, { Accept })).status).toBe(400)
  })

  it('and metadata alone', async () => {
    const partial = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
    const { body } = await admin.get(DEPLOYMENTS, { Accept: partial })
    expect(body).toMatchObject({ kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' })
    expect(Object.keys(body.items[0]).sort()).toEqual(['apiVersion', 'kind', 'metadata'])
  })
})

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
