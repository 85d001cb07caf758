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
