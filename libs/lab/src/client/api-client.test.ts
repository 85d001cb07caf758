import type { GroupVersionResource, Resource } from '@ambient-lab/api'
import { SeededRandom, systemClock } from '@ambient-lab/std'
import { eventually, TestCertificates } from '@ambient-lab/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeApi, type FakeApiTls } from '../test-kit/fake-api.ts'
import { ApiClient } from './api-client.ts'
import type { WatchEvent } from './watch.ts'

const { authority } = new TestCertificates()
const server = authority.issueServer({ ipAddresses: ['127.0.0.1'], commonName: 'api' })
const admin = authority.issueClient({ commonName: 'ambient-admin', organizations: ['system:masters'] })
const tls: FakeApiTls = {
  ca: authority.rootsPem.join(''),
  server: { cert: server.chainPem.join(''), key: server.keyPem },
  client: { cert: admin.chainPem.join(''), key: admin.keyPem },
}

const NAMESPACES: GroupVersionResource = { group: '', version: 'v1', resource: 'namespaces' }
const DEPLOYMENTS: GroupVersionResource = { group: 'apps', version: 'v1', resource: 'deployments' }

const namespace = (name: string, labels?: Record<string, string>): Resource => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: labels ? { name, labels } : { name },
})

let api: FakeApi
let client: ApiClient
let warnings: string[]

beforeEach(async () => {
  api = new FakeApi(tls)
  await api.listen()
  warnings = []
  const components = { clock: systemClock, random: new SeededRandom(1) }
  client = new ApiClient(api.access, { components, onWarning: (text) => warnings.push(text) })
})
afterEach(async () => {
  client[Symbol.dispose]()
  await api[Symbol.asyncDispose]()
})

describe('requests', () => {
  test('create, get, list, patch, delete', async () => {
    await client.create(NAMESPACES, namespace('a'))
    const patched = await client.mergePatch(NAMESPACES, { name: 'a' }, { metadata: { labels: { x: 'y' } } })
    expect(patched.metadata.labels).toEqual({ x: 'y' })
    expect((await client.list(NAMESPACES)).items.map(({ metadata }) => metadata.name)).toEqual(['a'])
    await client.delete(NAMESPACES, { name: 'a' })
    expect(await client.find(NAMESPACES, { name: 'a' })).toBeUndefined()
  })

  test('paths carry group, namespace and subresource, escaped', async () => {
    await client.find(DEPLOYMENTS, { namespace: 'default', name: '../secrets', subresource: 'scale' })
    expect(api.requests).toEqual(['GET /apis/apps/v1/namespaces/default/deployments/..%2Fsecrets/scale'])
  })

  test.each([
    [404, 'NotFound', 'NOT_FOUND'],
    [409, 'AlreadyExists', 'ALREADY_EXISTS'],
    [409, 'Conflict', 'CONFLICT'],
    [422, 'Invalid', 'INVALID'],
    [403, 'Forbidden', 'FORBIDDEN'],
    [401, 'Unauthorized', 'UNAUTHORIZED'],
    [503, 'ServiceUnavailable', 'UNAVAILABLE'],
    [418, 'Teapot', 'API_ERROR'],
  ])('a Status of %i %s is %s, with its text', async (status, reason, code) => {
    api.refuse = () => ({ status, body: { kind: 'Status', reason, code: status, message: 'as the server says it' } })
    await expect(client.list(NAMESPACES)).rejects.toMatchObject({ code, message: 'as the server says it' })
  })

  test('an answer that is no Status is an error all the same', async () => {
    api.refuse = () => ({ status: 500, body: 'oops' })
    await expect(client.list(NAMESPACES)).rejects.toMatchObject({
      code: 'API_ERROR',
      message: expect.stringContaining('HTTP 500'),
    })
  })

  test('nobody listens: UNAVAILABLE, and the command that helps', async () => {
    await api[Symbol.asyncDispose]()
    await expect(client.list(NAMESPACES)).rejects.toMatchObject({ code: 'UNAVAILABLE', next: 'ambient up' })
    api = new FakeApi(tls)
    await api.listen()
  })

  test('an abort is its own reason', async () => {
    const reason = new Error('Ctrl-C')
    await expect(client.list(NAMESPACES, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  test('a burst shares few connections, and all of it is answered', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, index) => client.create(NAMESPACES, namespace(`n${index}`))))
    expect(api.objects.size).toBe(50)
  })
})

describe('watch', () => {
  let ending: AbortController
  beforeEach(() => {
    ending = new AbortController()
  })
  afterEach(() => ending.abort())

  /** Collects `ADDED a`, `SYNCED`, … while the test goes on. */
  function follow(): string[] {
    const seen: string[] = []
    const word = (event: WatchEvent) =>
      event.type === 'SYNCED' ? 'SYNCED' : `${event.type} ${event.object.metadata.name}`
    void (async () => {
      const onState = (error: unknown) => seen.push(error ? 'lost' : 'back')
      for await (const event of client.watch(NAMESPACES, { signal: ending.signal, onState })) seen.push(word(event))
    })()
    return seen
  }

  const path = (name: string) => `/api/v1/namespaces/${name}`

  test('what there is, then SYNCED, then every change', async () => {
    api.put(path('a'), namespace('a'))
    const seen = follow()
    await eventually(() => api.watchCount === 1)
    api.put(path('b'), namespace('b'))
    api.put(path('a'), namespace('a', { x: 'y' }))
    api.remove(path('b'))
    await eventually(() => expect(seen).toEqual(['ADDED a', 'SYNCED', 'ADDED b', 'MODIFIED a', 'DELETED b']))
  })

  test('a broken stream is resumed where it broke: nothing is missed, nothing is told twice', async () => {
    api.put(path('a'), namespace('a'))
    const seen = follow()
    await eventually(() => api.watchCount === 1)
    api.cutWatches()
    api.put(path('b'), namespace('b'))
    await eventually(() => expect(seen).toContain('ADDED b'))
    expect(seen.filter((word) => !['lost', 'back'].includes(word))).toEqual(['ADDED a', 'SYNCED', 'ADDED b'])
    expect(seen).toContain('lost')
    expect(seen).toContain('back')
  })

  test('a forgotten revision: the differences, and SYNCED again', async () => {
    for (const name of ['a', 'b', 'c']) api.put(path(name), namespace(name))
    const seen = follow()
    await eventually(() => api.watchCount === 1)
    const { port } = api
    await api[Symbol.asyncDispose]()
    const before = seen.length
    api.remove(path('a'))
    api.put(path('b'), namespace('b', { x: 'y' }))
    api.put(path('d'), namespace('d'))
    api.put(path('e'), namespace('e'))
    api.forgetHistory()
    await api.listen(port)
    const told = () => seen.slice(before).filter((word) => !['lost', 'back'].includes(word))
    await eventually(() => expect(told()).toEqual(['DELETED a', 'MODIFIED b', 'ADDED d', 'ADDED e', 'SYNCED']))
  })

  test('what trying again cannot mend is thrown', async () => {
    api.refuse = () => ({ status: 403, body: { kind: 'Status', reason: 'Forbidden', message: 'no' } })
    await expect(client.watch(NAMESPACES).next()).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })

  test('ends with the signal, also while it is disconnected', async () => {
    await api[Symbol.asyncDispose]()
    const events = client.watch(NAMESPACES, { signal: ending.signal })
    const next = events.next()
    ending.abort()
    expect(await next).toEqual({ done: true, value: undefined })
    api = new FakeApi(tls)
    await api.listen()
  })
})
