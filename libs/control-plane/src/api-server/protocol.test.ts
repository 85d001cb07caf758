import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ADMIN,
  type ClientCertificate,
  DEPLOYMENTS,
  deploymentBody,
  NODE,
  PODS,
  ROOT_PEM,
  strangerCertificate,
  TestApiServer,
  type TestClient,
  workloadCertificate,
} from './harness.conformance.ts'
import type { ApiServerHooks } from './hooks.ts'
import { BODY_BYTES_MAX } from './limits.ts'

let ready = false

const hooks: ApiServerHooks = {
  plainRoutes: { 'GET /cacerts': async () => ({ status: 200, body: ROOT_PEM, contentType: 'text/plain' }) },
  createOnly: { 'ambient.lab/jointokens': async ({ object }) => object },
  subresources: { '/pods/log': async (_, { response }) => void response.end() },
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
