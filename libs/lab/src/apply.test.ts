import { findKind, type Resource } from '@ambient-lab/api'
import { TestCertificates } from '@ambient-lab/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ApplyItem, applyAll } from './apply.ts'
import { ApiClient } from './client/api-client.ts'
import { FakeApi } from './test-kit/fake-api.ts'

const { authority } = new TestCertificates()
const server = authority.issueServer({ ipAddresses: ['127.0.0.1'], commonName: 'api' })
const admin = authority.issueClient({ commonName: 'ambient-admin' })

let api: FakeApi
let client: ApiClient

beforeEach(async () => {
  api = new FakeApi({
    ca: authority.rootsPem.join(''),
    server: { cert: server.chainPem.join(''), key: server.keyPem },
    client: { cert: admin.chainPem.join(''), key: admin.keyPem },
  })
  await api.listen()
  client = new ApiClient(api.access)
})
afterEach(async () => {
  client[Symbol.dispose]()
  await api[Symbol.asyncDispose]()
})

function item(object: Resource): ApplyItem {
  return { definition: findKind(object)!, object }
}

const namespace = (name: string, labels: Record<string, string> = {}) =>
  item({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
const config = (name: string, data: Record<string, string>, inside = 'default') =>
  item({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: inside }, data })

/** What is stored, less revisions. */
function stored(): Record<string, unknown> {
  return Object.fromEntries(
    [...api.objects].map(([path, { metadata, ...object }]) => {
      const { resourceVersion: _, ...rest } = metadata
      return [path, { ...object, metadata: rest }]
    }),
  )
}

const outcomes = async (items: ApplyItem[], options = {}) =>
  (await applyAll(client, items, options)).map(({ item: { object }, outcome }) => `${object.metadata.name} ${outcome}`)

test('each object is created, changed or unchanged, in the order given', async () => {
  expect(await outcomes([config('a', { x: '1' }), config('b', { x: '1' })])).toEqual(['a created', 'b created'])
  expect(await outcomes([config('b', { x: '2' }), config('a', { x: '1' })])).toEqual(['b changed', 'a unchanged'])
})

test('of two documents about one object the last one counts', async () => {
  const items = [config('a', { x: '1' }), config('a', { x: '2' }), config('b', {})]
  expect(await outcomes(items)).toEqual(['a created', 'a changed', 'b created'])
  expect(Object.values(stored())).toContainEqual(expect.objectContaining({ data: { x: '2' } }))
})

test('a dry run says what would happen and stores nothing', async () => {
  await applyAll(client, [config('a', { x: '1' }), config('b', { x: '1' })])
  const before = stored()
  const items = [config('a', { x: '2' }), config('b', { x: '1' }), config('c', {})]
  expect(await outcomes(items, { dryRun: true })).toEqual(['a changed', 'b unchanged', 'c created'])
  expect(stored()).toEqual(before)
})

test('namespaces are written before what is in them', async () => {
  await applyAll(client, [config('a', {}, 'shop'), namespace('shop')])
  const writes = api.requests.filter((request) => request.startsWith('PATCH'))
  expect(writes[0]).toBe('PATCH /api/v1/namespaces/shop')
})

test('few objects are one request, whatever their kinds', async () => {
  await applyAll(client, [config('a', {}, 'shop'), namespace('shop')])
  expect(api.requests.filter((request) => request.startsWith('POST'))).toHaveLength(1)
})

test('many objects are several requests, answered in the order of the objects', async () => {
  const items = Array.from({ length: 500 }, (_, index) => config(`c${index}`, { x: '1' }))
  expect(await outcomes([...items, namespace('shop')])).toEqual([
    ...items.map(({ object }) => `${object.metadata.name} created`),
    'shop created',
  ])
  const posts = api.requests.filter((request) => request.startsWith('POST'))
  expect(posts.length).toBeLessThan(20)
})

test('a refusal in a late batch puts back what those before it wrote, and the rest is judged all the same', async () => {
  const items = Array.from({ length: 300 }, (_, index) => config(`c${index}`, { x: '1' }))
  api.refuse = (method, path) =>
    method === 'PATCH' && /c(150|299)$/.test(path)
      ? { status: 422, body: { kind: 'Status', reason: 'Invalid', message: 'no' } }
      : undefined
  await expect(applyAll(client, items)).rejects.toMatchObject({
    message: 'ConfigMap/c150.default: no\nConfigMap/c299.default: no',
    next: 'nothing was changed',
  })
  expect(api.objects.size).toBe(0)
})

test('one refusal, and everything is as it was: created removed, changed put back', async () => {
  await applyAll(client, [config('kept', { x: '1' })])
  const before = stored()
  api.refuse = (method, path) =>
    method === 'PATCH' && path.endsWith('/bad')
      ? { status: 422, body: { kind: 'Status', reason: 'Invalid', message: 'bad is refused' } }
      : undefined
  const input = [namespace('shop'), config('kept', { x: '2', y: '3' }), config('bad', {}), config('new', {}, 'shop')]
  await expect(applyAll(client, input)).rejects.toMatchObject({
    code: 'INVALID',
    message: 'ConfigMap/bad.default: bad is refused',
    next: 'nothing was changed',
  })
  expect(stored()).toEqual(before)
})

test('every refusal is told, not only the first', async () => {
  api.refuse = (method, path) =>
    method === 'PATCH'
      ? { status: 403, body: { kind: 'Status', reason: 'Forbidden', message: `no ${path.at(-1)}` } }
      : undefined
  await expect(applyAll(client, [config('a', {}), config('b', {})])).rejects.toMatchObject({
    message: 'ConfigMap/a.default: no a\nConfigMap/b.default: no b',
  })
})

test('what could not be put back is named', async () => {
  let refusing = false
  api.refuse = (method, path) => {
    if (method === 'PATCH' && path.endsWith('/bad')) {
      refusing = true
      return { status: 422, body: { kind: 'Status', reason: 'Invalid', message: 'no' } }
    }
    if (refusing && method === 'DELETE')
      return { status: 503, body: { kind: 'Status', reason: 'ServiceUnavailable', message: 'gone' } }
    return undefined
  }
  const many = Array.from({ length: 100 }, (_, index) => config(`c${index}`, {}))
  await expect(applyAll(client, [namespace('shop'), ...many, config('bad', {})])).rejects.toMatchObject({
    next: expect.stringMatching(/^these could not be put back: .*Namespace\/shop$/),
  })
})

test('a dry run stores nothing and answers as if', async () => {
  expect(await outcomes([config('a', { x: '1' })], { dryRun: true })).toEqual(['a created'])
  expect(api.objects.size).toBe(0)
})
