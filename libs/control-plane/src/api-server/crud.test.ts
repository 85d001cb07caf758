import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  ADMIN,
  CONFIG_MAPS,
  configMapBody,
  DEPLOYMENTS,
  deploymentBody,
  PODS,
  podBody,
  TestApiServer,
  type TestClient,
} from './harness.conformance.ts'

let server: TestApiServer
let admin: TestClient

beforeAll(async () => {
  server = await TestApiServer.start()
  admin = server.client(ADMIN)
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const path of [PODS, CONFIG_MAPS, DEPLOYMENTS]) await admin.delete(path)
})

describe('create', () => {
  it('answers the object with what the server adds', async () => {
    const { status, body } = await admin.post(PODS, podBody('a', { app: 'a' }))
    expect(status).toBe(201)
    expect(body).toMatchObject({ apiVersion: 'v1', kind: 'Pod', spec: { restartPolicy: 'Always' } })
    expect(body.metadata).toMatchObject({ name: 'a', namespace: 'default', generation: 1, labels: { app: 'a' } })
    expect(body.metadata.uid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(body.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(Number(body.metadata.resourceVersion)).toBe(server.store.revision)
  })

  it('makes names from generateName', async () => {
    const body = { ...podBody(''), metadata: { generateName: 'job-' } }
    const names = (await Promise.all([1, 2, 3].map(() => admin.post(PODS, body)))).map(
      (answer) => answer.body.metadata.name,
    )
    expect(new Set(names).size).toBe(3)
    for (const name of names) expect(name).toMatch(/^job-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  })

  it('drops a status and metadata that are the server’s to say', async () => {
    const spoofed = {
      ...podBody('a'),
      status: { phase: 'Running' },
      metadata: { name: 'a', uid: 'mine', generation: 9, deletionTimestamp: '2020-01-01T00:00:00Z' },
    }
    const { body } = await admin.post(PODS, spoofed)
    expect(body.status).toBeUndefined()
    expect(body.metadata.uid).not.toBe('mine')
    expect(body.metadata).toMatchObject({ generation: 1 })
    expect(body.metadata.deletionTimestamp).toBeUndefined()
  })

  it.each([
    ['twice', PODS, podBody('dup'), 409, 'AlreadyExists', 'pods "dup" already exists'],
    ['in no namespace', '/api/v1/namespaces/none/pods', podBody('a'), 404, 'NotFound', 'namespaces "none" not found'],
    ['another kind', PODS, configMapBody('a'), 400, 'BadRequest', 'the kind in the data ("ConfigMap")'],
    [
      'another version',
      PODS,
      { ...podBody('a'), apiVersion: 'v2' },
      400,
      'BadRequest',
      'the API version in the data ("v2")',
    ],
    [
      'another namespace',
      PODS,
      { ...podBody('a'), metadata: { name: 'a', namespace: 'other' } },
      400,
      'BadRequest',
      'the namespace of the provided object does not match',
    ],
    [
      'a bad name',
      PODS,
      podBody('Bad_Name'),
      422,
      'Invalid',
      'Pod "Bad_Name" is invalid: metadata.name: Invalid value',
    ],
    ['no name', PODS, podBody(''), 422, 'Invalid', 'metadata.name: Required value'],
    [
      'with a resourceVersion',
      PODS,
      { ...podBody('a'), metadata: { name: 'a', resourceVersion: '1' } },
      400,
      'BadRequest',
      'should not be set',
    ],
    ['a list', PODS, [], 400, 'BadRequest', 'not a JSON object'],
    ['no JSON', PODS, '{"kind":', 400, 'BadRequest', 'not valid JSON'],
  ])('refuses %s', async (_, path, body, status, reason, message) => {
    if (message.includes('already')) await admin.post(path, body)
    const answer = await admin.post(path, body)
    expect(answer.body).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code: status })
    expect(answer.status).toBe(status)
    expect(answer.body.message).toContain(message)
  })

  it('names every mistake with its field', async () => {
    const body = { ...deploymentBody('a'), spec: { replicas: -1, template: {} } }
    const answer = await admin.post(DEPLOYMENTS, body)
    expect(answer.status).toBe(422)
    expect(answer.body.details).toMatchObject({ name: 'a', group: 'apps', kind: 'Deployment' })
    expect(answer.body.details.causes).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ reason: 'FieldValueRequired', field: 'spec.selector' }),
        expect.objectContaining({ reason: 'FieldValueInvalid', field: 'spec.replicas' }),
      ]),
    )
    expect(answer.body.message).toMatch(/^Deployment\.apps "a" is invalid: \[/)
  })

  it('warns of unknown fields, refuses them when asked to be strict, and can be silent', async () => {
    const body = { ...deploymentBody('typo'), spec: { ...(deploymentBody('typo').spec as object), replica: 3 } }
    const silent = await admin.post(`${DEPLOYMENTS}?fieldValidation=Ignore&dryRun=All`, body)
    expect(silent.headers.warning).toBeUndefined()
    const warned = await admin.post(`${DEPLOYMENTS}?dryRun=All`, body)
    expect(warned.headers.warning).toContain('299 - "unknown field \\"spec.replica\\"')
    const strict = await admin.post(`${DEPLOYMENTS}?fieldValidation=Strict`, body)
    expect(strict.status).toBe(400)
    expect(strict.body.message).toContain('strict decoding error: unknown field "spec.replica"')
  })

  it('stores nothing in a dry run', async () => {
    const before = server.store.revision
    const { status, body } = await admin.post(`${PODS}?dryRun=All`, podBody('dry'))
    expect({ status, name: body.metadata.name }).toEqual({ status: 201, name: 'dry' })
    expect(server.store.revision).toBe(before)
    expect((await admin.post(`${PODS}?dryRun=Some`, podBody('dry'))).status).toBe(400)
  })

  it('reads YAML', async () => {
    const yaml = 'kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: from-yaml\ndata: {a: "1"}\n'
    const answer = await admin.call('POST', CONFIG_MAPS, {
      body: yaml,
      headers: { 'Content-Type': 'application/yaml' },
    })
    expect(answer.body).toMatchObject({ metadata: { name: 'from-yaml' }, data: { a: '1' } })
  })
})

describe('get and list', () => {
  it('answers one, and 404 for none', async () => {
    await admin.post(PODS, podBody('a'))
    expect((await admin.get(`${PODS}/a`)).body.metadata.name).toBe('a')
    const none = await admin.get(`${PODS}/b`)
    expect(none.body).toMatchObject({ message: 'pods "b" not found', details: { name: 'b', kind: 'pods' }, code: 404 })
    const other = await admin.get(`${DEPLOYMENTS}/b`)
    expect(other.body).toMatchObject({ message: 'deployments.apps "b" not found', details: { group: 'apps' } })
  })

  it('lists by namespace, labels and fields', async () => {
    await admin.post(PODS, podBody('a', { app: 'x', tier: 'web' }))
    await admin.post(PODS, podBody('b', { app: 'x' }))
    await admin.post(PODS, podBody('c', { app: 'y' }))
    const names = async (query: string) =>
      (await admin.get(query)).body.items.map((item: { metadata: { name: string } }) => item.metadata.name)
    expect(await names('/api/v1/pods')).toEqual(['a', 'b', 'c'])
    expect(await names(`${PODS}?labelSelector=app%3Dx`)).toEqual(['a', 'b'])
    expect(await names(`${PODS}?labelSelector=app+in+(x,y),!tier`)).toEqual(['b', 'c'])
    expect(await names(`${PODS}?fieldSelector=metadata.name%3Db`)).toEqual(['b'])
    expect(await names('/api/v1/namespaces/other/pods')).toEqual([])
    expect((await admin.get(`${PODS}?labelSelector=a%3D%3D%3Db`)).status).toBe(400)
    expect((await admin.get(PODS)).body).toMatchObject({ kind: 'PodList', apiVersion: 'v1' })
  })

  it('pages with limit and continue, each object once', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await admin.post(CONFIG_MAPS, configMapBody(name))
    const pages: string[][] = []
    let token = ''
    let revision: string | undefined
    do {
      const { body } = await admin.get(`${CONFIG_MAPS}?limit=2&continue=${token}`)
      revision ??= body.metadata.resourceVersion
      expect(body.metadata.resourceVersion).toBe(revision)
      pages.push(body.items.map((item: { metadata: { name: string } }) => item.metadata.name))
      token = body.metadata.continue ?? ''
      // Changes between the pages neither repeat nor hide what was there all the time.
      if (pages.length === 1) await admin.post(CONFIG_MAPS, configMapBody('aa'))
    } while (token !== '')
    expect(pages).toEqual([['a', 'b'], ['c', 'd'], ['e']])
    expect((await admin.get(`${CONFIG_MAPS}?continue=nonsense`)).status).toBe(400)
  })

  it('refuses a revision of the future, and an exact one of the past', async () => {
    await admin.post(PODS, podBody('a'))
    expect((await admin.get(`${PODS}?resourceVersion=999999`)).body).toMatchObject({ code: 504, reason: 'Timeout' })
    expect((await admin.get(`${PODS}?resourceVersion=1&resourceVersionMatch=Exact`)).body).toMatchObject({
      code: 410,
      reason: 'Expired',
    })
    expect((await admin.get(`${PODS}?resourceVersion=1&resourceVersionMatch=NotOlderThan`)).status).toBe(200)
  })
})

describe('namespaces', () => {
  it('carry their name as a label and a phase; default cannot go', async () => {
    const { body } = await admin.post('/api/v1/namespaces', { metadata: { name: 'shop' } })
    expect(body).toMatchObject({
      metadata: { labels: { 'kubernetes.io/metadata.name': 'shop' } },
      status: { phase: 'Active' },
    })
    expect((await admin.delete('/api/v1/namespaces/default')).body).toMatchObject({ code: 403, reason: 'Forbidden' })
  })
})
