import type { Batch, BatchStatus, Resource } from '@ambient-lab/api'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MemoryStore } from '../store/memory-store.ts'
import {
  ADMIN,
  type Answer,
  CONFIG_MAPS,
  configMapBody,
  NODE,
  TestApiServer,
  type TestClient,
} from './harness.conformance.ts'

const BATCHES = '/apis/ambient.lab/v1/batches?fieldManager=test'
const store = new MemoryStore()

let server: TestApiServer
let admin: TestClient

beforeAll(async () => {
  server = await TestApiServer.start({ store })
  admin = server.client(ADMIN)
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(async () => {
  store.isFull = false
  await admin.delete(CONFIG_MAPS)
})

const config = (name: string, data: Record<string, string> = {}, namespace = 'default') => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
})
const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })

function send(objects: readonly unknown[], query = ''): Promise<Answer> {
  return admin.post(BATCHES + query, { apiVersion: 'ambient.lab/v1', kind: 'Batch', spec: { objects } })
}

async function resultsOf(objects: readonly unknown[], query = ''): Promise<BatchStatus['results']> {
  const { status, body } = await send(objects, query)
  expect(status).toBe(201)
  return (body as Batch).status!.results
}

const summary = (results: BatchStatus['results']) =>
  results.map((result) =>
    result.outcome === 'refused'
      ? `${result.index} refused ${result.refusal.code}`
      : `${result.object.metadata.name} ${result.outcome}`,
  )

const names = () => store.list('/configmaps', { namespace: 'default' }).map(({ metadata }) => metadata.name)

describe('a batch', () => {
  it('applies each object as an apply of its own would, in order', async () => {
    const results = await resultsOf([config('a', { x: '1' }), config('b'), config('a', { x: '2' })])
    expect(summary(results)).toEqual(['a created', 'b created', 'a changed'])
    const single = await admin.call('PATCH', `${CONFIG_MAPS}/a?fieldManager=test&force=true`, {
      body: config('a', { x: '2' }),
      headers: { 'Content-Type': 'application/apply-patch+yaml' },
    })
    expect(single.body).toEqual((results[2] as { object: Resource }).object)
    expect(summary(await resultsOf([config('a', { x: '2' }), config('c')]))).toEqual(['a unchanged', 'c created'])
  })

  it('tells what a changed object was', async () => {
    await resultsOf([config('a', { x: '1' })])
    const [changed] = await resultsOf([config('a', { x: '2' })])
    expect(changed).toMatchObject({ previous: { data: { x: '1' } }, object: { data: { x: '2' } } })
  })

  it('takes a status that moves on, and a new owner of fields, for no change', async () => {
    await admin.post(CONFIG_MAPS, configMapBody('a', { x: '1' }))
    const [result] = await resultsOf([{ ...config('a', { x: '1' }) }])
    expect(summary([result!])).toEqual(['a unchanged'])
  })

  it('may bring the namespace that its objects are in', async () => {
    const results = await resultsOf([namespace('shop'), config('a', {}, 'shop')])
    expect(summary(results)).toEqual(['shop created', 'a created'])
  })

  it('is one revision for each change, and nothing between them', async () => {
    const revision = store.revision
    await Promise.all([resultsOf([config('a'), config('b')]), admin.post(CONFIG_MAPS, configMapBody('c'))])
    const revisions = ['a', 'b'].map((name) =>
      Number(store.get('/configmaps', `default/${name}`)!.metadata.resourceVersion),
    )
    expect(revisions[1]! - revisions[0]!).toBe(1)
    expect(store.revision).toBe(revision + 3)
  })

  it('is left undone when one object is refused, and tells every refusal', async () => {
    await resultsOf([config('kept', { x: '1' })])
    const revision = store.revision
    const results = await resultsOf([
      config('kept', { x: '2' }),
      config('Bad_Name'),
      { apiVersion: 'v1', kind: 'Nothing', metadata: { name: 'x' } },
      config('a', {}, 'nowhere'),
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' } },
    ])
    expect(summary(results)).toEqual(['1 refused 422', '2 refused 404', '3 refused 404', '4 refused 400'])
    expect(results[0]).toMatchObject({ refusal: { kind: 'Status', reason: 'Invalid', details: { kind: 'ConfigMap' } } })
    expect([names(), store.revision]).toEqual([['kept'], revision])
    expect(store.get('/configmaps', 'default/kept')).toMatchObject({ data: { x: '1' } })
  })

  it('stores nothing in a dry run, in which each object sees those before it', async () => {
    const revision = store.revision
    const results = await resultsOf([namespace('dry'), config('a', {}, 'dry')], '&dryRun=All')
    expect(summary(results)).toEqual(['dry created', 'a created'])
    expect(store.revision).toBe(revision)
  })

  it('is refused as a whole on a full disk', async () => {
    store.isFull = true
    const { status, body } = await send([config('a'), config('b')])
    expect([status, body.reason]).toEqual([507, 'InsufficientStorage'])
    expect(names()).toEqual([])
  })

  it('warns of unknown fields with the object that has them', async () => {
    const [result] = await resultsOf([{ ...config('a'), dat: {} }])
    expect(result).toMatchObject({ warnings: [expect.stringContaining('dat')] })
  })

  it.each([
    ['no object at all', [], 422],
    ['what is no object', ['x'], 422],
    ['too many', Array.from({ length: 1001 }, () => config('a')), 422],
    ['an object without a kind', [{ metadata: { name: 'a' } }], 201],
    [
      'an object that cannot be applied',
      [{ apiVersion: 'ambient.lab/v1', kind: 'Batch', metadata: { name: 'a' } }],
      201,
    ],
    ['metadata that is none', [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: 7 }], 201],
  ])('refuses %s', async (_, objects, status) => {
    const answer = await send(objects)
    expect(answer.status).toBe(status)
    if (status === 201) expect(answer.body.status.results).toMatchObject([{ index: 0, outcome: 'refused' }])
  })

  it('is for administrators', async () => {
    const answer = await server.client(NODE).post(BATCHES, { spec: { objects: [config('a')] } })
    expect(answer.status).toBe(403)
  })

  it('needs a field manager, as every apply', async () => {
    const answer = await admin.post('/apis/ambient.lab/v1/batches', { spec: { objects: [config('a')] } })
    expect(answer.body.status.results).toMatchObject([{ outcome: 'refused', refusal: { code: 400 } }])
  })
})
