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

describe('update', () => {
  it('replaces the spec, counts generations, keeps the status and the identity', async () => {
    const { body: created } = await admin.post(DEPLOYMENTS, deploymentBody('d'))
    const changed = { ...created, spec: { ...created.spec, replicas: 3 }, status: { replicas: 9 } }
    const { status, body } = await admin.put(`${DEPLOYMENTS}/d`, changed)
    expect(status).toBe(200)
    expect(body.metadata).toMatchObject({ generation: 2, uid: created.metadata.uid })
    expect(body.spec.replicas).toBe(3)
    expect(body.status).toBeUndefined()
  })

  it('refuses a stale resourceVersion, another uid, another name, and what is not there', async () => {
    const { body: first } = await admin.post(CONFIG_MAPS, configMapBody('c'))
    await admin.put(`${CONFIG_MAPS}/c`, { ...first, data: { a: '1' } })
    const stale = await admin.put(`${CONFIG_MAPS}/c`, { ...first, data: { a: '2' } })
    expect(stale.body).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to the latest version and try again',
    })
    const uid = await admin.put(`${CONFIG_MAPS}/c`, { ...first, metadata: { name: 'c', uid: 'x' } })
    expect(uid.status).toBe(409)
    expect((await admin.put(`${CONFIG_MAPS}/c`, configMapBody('other'))).status).toBe(400)
    expect((await admin.put(`${CONFIG_MAPS}/none`, configMapBody('none'))).status).toBe(404)
  })

  it('uses no revision when nothing changes', async () => {
    const { body } = await admin.post(CONFIG_MAPS, configMapBody('c', { a: '1' }))
    const again = await admin.put(`${CONFIG_MAPS}/c`, body)
    expect(again.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion)
  })

  it('writes the status through its own path only, and nothing else through it', async () => {
    const { body: created } = await admin.post(DEPLOYMENTS, deploymentBody('d', 2))
    const both = { ...created, spec: { ...created.spec, replicas: 7 }, status: { replicas: 2 } }
    const { body } = await admin.put(`${DEPLOYMENTS}/d/status`, both)
    expect([body.spec.replicas, body.status.replicas, body.metadata.generation]).toEqual([2, 2, 1])
    const patched = await admin.patch(
      `${DEPLOYMENTS}/d/status`,
      { spec: { replicas: 9 }, status: { readyReplicas: 1 } },
      'merge',
    )
    expect([patched.body.spec.replicas, patched.body.status]).toEqual([2, { replicas: 2, readyReplicas: 1 }])
    expect((await admin.get(`${DEPLOYMENTS}/d/status`)).body.status.replicas).toBe(2)
  })

  it('lets exactly one of many writers with the same base win', async () => {
    const { body } = await admin.post(CONFIG_MAPS, configMapBody('race'))
    const writes = Array.from({ length: 10 }, (_, index) =>
      admin.put(`${CONFIG_MAPS}/race`, { ...body, data: { winner: String(index) } }),
    )
    const statuses = (await Promise.all(writes)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.filter((status) => status === 409)).toHaveLength(9)
  })
})

describe('patch', () => {
  it('merges, also against the newest state without a resourceVersion', async () => {
    await admin.post(CONFIG_MAPS, configMapBody('c', { a: '1', b: '2' }))
    const { body } = await admin.patch(`${CONFIG_MAPS}/c`, { data: { a: null, c: '3' } }, 'merge')
    expect(body.data).toEqual({ b: '2', c: '3' })
    const stale = await admin.patch(`${CONFIG_MAPS}/c`, { metadata: { resourceVersion: '1' }, data: {} }, 'merge')
    expect(stale.status).toBe(409)
  })

  it('applies JSON patches whole or not at all', async () => {
    await admin.post(CONFIG_MAPS, configMapBody('c', { a: '1' }))
    const good = [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'replace', path: '/data/a', value: '2' },
    ]
    expect((await admin.patch(`${CONFIG_MAPS}/c`, good, 'json')).body.data).toEqual({ a: '2' })
    const bad = [{ op: 'add', path: '/data/b', value: '1' }, ...good]
    expect((await admin.patch(`${CONFIG_MAPS}/c`, bad, 'json')).body).toMatchObject({ code: 422, reason: 'Invalid' })
    expect((await admin.get(`${CONFIG_MAPS}/c`)).body.data).toEqual({ a: '2' })
    expect((await admin.patch(`${CONFIG_MAPS}/c`, { op: 'add' }, 'json')).status).toBe(400)
  })

  it('merges containers by name in a strategic patch', async () => {
    await admin.post(DEPLOYMENTS, deploymentBody('d'))
    const container = { name: 'main', image: 'reviews:v2' }
    const patch = { spec: { template: { spec: { containers: [container, { name: 'side', image: 'curl' }] } } } }
    const { body } = await admin.patch(`${DEPLOYMENTS}/d`, patch, 'strategic-merge')
    expect(body.spec.template.spec.containers).toMatchObject([container, { name: 'side', image: 'curl' }])
  })

  it('cannot rename, move or fake the identity of an object', async () => {
    const { body: created } = await admin.post(CONFIG_MAPS, configMapBody('c'))
    const moved = await admin.patch(`${CONFIG_MAPS}/c`, { metadata: { namespace: 'x' } }, 'merge')
    expect(moved.status).toBe(400)
    const renamed = await admin.patch(`${CONFIG_MAPS}/c`, { metadata: { name: 'x', creationTimestamp: null } }, 'merge')
    expect(renamed.body.metadata).toMatchObject({ name: 'c', creationTimestamp: created.metadata.creationTimestamp })
  })

  it('creates by apply, then takes back what the same manager no longer says', async () => {
    const path = `${CONFIG_MAPS}/applied?fieldManager=me`
    const config = (data: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' }, data })
    const created = await admin.patch(path, config({ a: '1', b: '1' }), 'apply')
    expect([created.status, created.body.data]).toEqual([201, { a: '1', b: '1' }])
    await admin.patch(`${CONFIG_MAPS}/applied`, { data: { other: 'x' } }, 'merge')
    const again = await admin.patch(path, config({ a: '2' }), 'apply')
    expect([again.status, again.body.data]).toEqual([200, { a: '2', other: 'x' }])
    const same = await admin.patch(path, config({ a: '2' }), 'apply')
    expect(same.body.metadata.resourceVersion).toBe(again.body.metadata.resourceVersion)
    expect((await admin.patch(`${CONFIG_MAPS}/applied`, config({}), 'apply')).status).toBe(400)
  })

  it('applies YAML', async () => {
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yml}\ndata:\n  a: "1"\n'
    expect((await admin.patch(`${CONFIG_MAPS}/yml?fieldManager=me`, yaml, 'apply')).body.data).toEqual({ a: '1' })
    expect((await admin.patch(`${CONFIG_MAPS}/yml?fieldManager=me`, 'a: [', 'apply')).status).toBe(400)
  })
})

describe('delete', () => {
  it('answers a success with the uid', async () => {
    const { body: created } = await admin.post(PODS, podBody('a'))
    const { status, body } = await admin.delete(`${PODS}/a`)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'a', kind: 'pods', uid: created.metadata.uid },
    })
    expect((await admin.delete(`${PODS}/a`)).status).toBe(404)
  })

  it('honours preconditions', async () => {
    const { body } = await admin.post(PODS, podBody('a'))
    const wrong = await admin.delete(`${PODS}/a`, { preconditions: { uid: 'other' } })
    expect(wrong.body).toMatchObject({ code: 409, reason: 'Conflict' })
    const right = { preconditions: { uid: body.metadata.uid, resourceVersion: body.metadata.resourceVersion } }
    expect((await admin.delete(`${PODS}/a`, right)).status).toBe(200)
  })

  it('keeps what has a finalizer until it is taken away, and lets no new one on', async () => {
    await admin.post(CONFIG_MAPS, { ...configMapBody('c'), metadata: { name: 'c', finalizers: ['x/y'] } })
    const { body } = await admin.delete(`${CONFIG_MAPS}/c`)
    expect(body.metadata).toMatchObject({ deletionGracePeriodSeconds: 0, finalizers: ['x/y'] })
    const again = await admin.delete(`${CONFIG_MAPS}/c`)
    expect(again.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion)
    const more = await admin.patch(`${CONFIG_MAPS}/c`, { metadata: { finalizers: ['x/y', 'x/z'] } }, 'merge')
    expect(more.body).toMatchObject({ code: 422, reason: 'Invalid' })
    expect((await admin.patch(`${CONFIG_MAPS}/c`, { metadata: { finalizers: null } }, 'merge')).status).toBe(200)
    expect((await admin.get(`${CONFIG_MAPS}/c`)).status).toBe(404)
  })

  it('deletes a collection by selector', async () => {
    for (const [name, app] of [
      ['a', 'x'],
      ['b', 'x'],
      ['c', 'y'],
    ] as const)
      await admin.post(PODS, podBody(name, { app }))
    const { body } = await admin.delete(`${PODS}?labelSelector=app%3Dx`)
    expect(body.items).toHaveLength(2)
    expect((await admin.get(PODS)).body.items).toHaveLength(1)
  })

  it('cuts dependents loose on request, before anyone can delete them', async () => {
    const { body: owner } = await admin.post(DEPLOYMENTS, deploymentBody('owner'))
    const reference = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'owner', uid: owner.metadata.uid }
    const other = { ...reference, name: 'other', uid: 'other' }
    await admin.post(CONFIG_MAPS, {
      ...configMapBody('owned'),
      metadata: { name: 'owned', ownerReferences: [reference, other] },
    })
    const before = server.store.revision
    const seen: string[] = []
    const stop = server.store.watch({ after: before }, ({ operation, object }) =>
      seen.push(`${operation} ${object.metadata.name}`),
    )
    await admin.delete(`${DEPLOYMENTS}/owner`, { propagationPolicy: 'Orphan' })
    stop()
    expect(seen).toEqual(['modified owned', 'deleted owner'])
    expect((await admin.get(`${CONFIG_MAPS}/owned`)).body.metadata.ownerReferences).toEqual([other])
    expect((await admin.delete(`${CONFIG_MAPS}/owned`, { propagationPolicy: 'Sideways' })).status).toBe(400)
  })

  it('does nothing in a dry run, wherever that is said', async () => {
    await admin.post(PODS, podBody('a'))
    expect((await admin.delete(`${PODS}/a?dryRun=All`)).status).toBe(200)
    expect((await admin.delete(`${PODS}/a`, { dryRun: ['All'] })).status).toBe(200)
    expect((await admin.get(`${PODS}/a`)).status).toBe(200)
  })
})

describe('scale', () => {
  it('reads and sets the replicas alone', async () => {
    await admin.post(DEPLOYMENTS, deploymentBody('d', 2))
    const { body } = await admin.get(`${DEPLOYMENTS}/d/scale`)
    expect(body).toMatchObject({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      spec: { replicas: 2 },
      status: { selector: 'app=d' },
    })
    await admin.put(`${DEPLOYMENTS}/d/scale`, { ...body, spec: { replicas: 4 } })
    const patched = await admin.patch(`${DEPLOYMENTS}/d/scale`, { spec: { replicas: 5 } }, 'merge')
    expect(patched.body.spec.replicas).toBe(5)
    expect((await admin.get(`${DEPLOYMENTS}/d`)).body).toMatchObject({
      spec: { replicas: 5 },
      metadata: { generation: 3 },
    })
    expect((await admin.put(`${DEPLOYMENTS}/d/scale`, body)).status).toBe(409)
    expect((await admin.patch(`${DEPLOYMENTS}/d/scale`, { spec: { replicas: -1 } }, 'merge')).status).toBe(422)
    expect((await admin.get(`${PODS}/d/scale`)).status).toBe(404)
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
