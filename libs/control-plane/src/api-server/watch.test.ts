import { VirtualClock } from '@ambient-lab/std'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MemoryStore } from '../store/memory-store.ts'
import {
  ADMIN,
  CONFIG_MAPS,
  configMapBody,
  PODS,
  podBody,
  TestApiServer,
  type TestClient,
  until,
} from './harness.conformance.ts'
import { BOOKMARK_PERIOD_MS, WATCH_STALL_MS } from './limits.ts'

const TABLE = { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }

let server: TestApiServer
let admin: TestClient

beforeAll(async () => {
  server = await TestApiServer.start({ store: new MemoryStore({ historyEventsMax: 100 }) })
  admin = server.client(ADMIN)
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const path of [PODS, CONFIG_MAPS]) await admin.delete(path)
})

async function revision(): Promise<string> {
  return (await admin.get(PODS)).body.metadata.resourceVersion
}

describe('a watch', () => {
  it('begins with what there is and goes on with what happens', async () => {
    await admin.post(PODS, podBody('a'))
    const watch = await admin.watch(`${PODS}?watch=1`)
    await admin.post(PODS, podBody('b'))
    await admin.patch(`${PODS}/b`, { metadata: { labels: { x: 'y' } } }, 'merge')
    await admin.delete(`${PODS}/a`)
    await until(() => watch.events.length >= 4)
    expect(watch.summary).toEqual(['ADDED a', 'ADDED b', 'MODIFIED b', 'DELETED a'])
    watch.close()
    await until(() => server.server.watches === 0)
  })

  it('resumes from a list without gap or duplicate while others write', async () => {
    let written = 0
    const write = async () => {
      for (; written < 60; written++)
        await admin.post(CONFIG_MAPS, configMapBody(`c${String(written).padStart(3, '0')}`))
    }
    const writing = write()
    await until(() => written > 10)
    const list = await admin.get(CONFIG_MAPS)
    const known: string[] = list.body.items.map((item: { metadata: { name: string } }) => item.metadata.name)
    let version: string = list.body.metadata.resourceVersion
    // Cut off and come back three times, each time from the last event seen.
    for (const target of [20, 35, 60]) {
      const watch = await admin.watch(`${CONFIG_MAPS}?watch=1&resourceVersion=${version}`)
      await until(() => known.length + watch.events.length >= target)
      watch.close()
      for (const event of watch.events) known.push(event.object.metadata.name)
      version = watch.events.at(-1)?.object.metadata.resourceVersion ?? version
    }
    await writing
    expect(known).toEqual(Array.from({ length: 60 }, (_, index) => `c${String(index).padStart(3, '0')}`))
  })

  it('sees one namespace and one selector; what comes to match is added, what ceases is deleted', async () => {
    const watch = await admin.watch(`${PODS}?watch=true&labelSelector=app%3Dx&resourceVersion=${await revision()}`)
    await server.seed({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'elsewhere' } })
    await admin.post('/api/v1/namespaces/elsewhere/pods', podBody('hidden', { app: 'x' }))
    await admin.post(PODS, podBody('a', { app: 'y' }))
    await admin.patch(`${PODS}/a`, { metadata: { labels: { app: 'x' } } }, 'merge')
    await admin.patch(`${PODS}/a`, { metadata: { labels: { more: '1' } } }, 'merge')
    await admin.patch(`${PODS}/a`, { metadata: { labels: { app: 'z' } } }, 'merge')
    await until(() => watch.events.length >= 3)
    expect(watch.summary).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a'])
    watch.close()
    await admin.delete('/api/v1/namespaces/elsewhere/pods')
  })

  it('of one name, by field selector or by path', async () => {
    const version = await revision()
    const byField = await admin.watch(`${PODS}?watch=1&fieldSelector=metadata.name%3Db&resourceVersion=${version}`)
    const byPath = await admin.watch(`${PODS}/b?watch=1&resourceVersion=${version}`)
    await admin.post(PODS, podBody('a'))
    await admin.post(PODS, podBody('b'))
    await until(() => byField.events.length + byPath.events.length >= 2)
    expect([byField.summary, byPath.summary]).toEqual([['ADDED b'], ['ADDED b']])
    byField.close()
    byPath.close()
  })

  it('marks the end of its initial events on request', async () => {
    await admin.post(PODS, podBody('a'))
    const query =
      'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion='
    const watch = await admin.watch(`${PODS}?${query}`)
    await until(() => watch.events.length >= 2)
    expect(watch.summary).toEqual(['ADDED a', 'BOOKMARK'])
    expect(watch.events[1]?.object).toEqual({
      kind: 'Pod',
      apiVersion: 'v1',
      metadata: { resourceVersion: await revision(), annotations: { 'k8s.io/initial-events-end': 'true' } },
    })
    watch.close()
    expect((await admin.get(`${PODS}?watch=1&sendInitialEvents=true`)).status).toBe(400)
  })

  it('from a forgotten revision is told 410 Gone as an event, and ends', async () => {
    const old = await revision()
    await admin.post(CONFIG_MAPS, configMapBody('busy'))
    for (let count = 0; count < 120; count++) {
      await admin.patch(`${CONFIG_MAPS}/busy`, { data: { count: String(count) } }, 'merge')
    }
    const watch = await admin.watch(`${PODS}?watch=1&resourceVersion=${old}`)
    await until(() => watch.ended)
    expect(watch.events).toEqual([
      { type: 'ERROR', object: expect.objectContaining({ kind: 'Status', code: 410, reason: 'Expired' }) },
    ])
    expect(watch.events[0]?.object.message).toMatch(/^too old resource version: \d+ \(\d+\)$/)
  })

  it('sends tables, the columns once', async () => {
    await admin.post(PODS, podBody('a'))
    const watch = await admin.watch(`${PODS}?watch=1`, TABLE)
    await admin.post(PODS, podBody('b'))
    await until(() => watch.events.length >= 2)
    const [first, second] = watch.events.map(({ object }) => object)
    expect(first).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      rows: [{ cells: expect.arrayContaining(['a', '0/1', 'Pending']) }],
    })
    expect(first.columnDefinitions[0]).toMatchObject({ name: 'Name', format: 'name' })
    expect(second.columnDefinitions).toEqual([])
    expect(second.rows[0].object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'b' } })
    watch.close()
  })

  it('ends after timeoutSeconds, and cleanly', async () => {
    const clock = new VirtualClock()
    await using own = await TestApiServer.start({ clock })
    const watch = await own.client(ADMIN).watch(`${PODS}?watch=1&timeoutSeconds=5`)
    await until(() => own.server.watches === 1)
    await clock.advance(5_000)
    await until(() => watch.ended)
    expect(watch.response.complete).toBe(true)
  })

  it('tells its revision from time to time when bookmarks are allowed', async () => {
    const clock = new VirtualClock()
    await using own = await TestApiServer.start({ clock })
    const client = own.client(ADMIN)
    const watch = await client.watch(`${PODS}?watch=1&allowWatchBookmarks=true`)
    await client.post(CONFIG_MAPS, configMapBody('other-type'))
    await clock.advance(BOOKMARK_PERIOD_MS)
    await until(() => watch.events.length === 1)
    expect(watch.events[0]).toMatchObject({
      type: 'BOOKMARK',
      object: { kind: 'Pod', metadata: { resourceVersion: String(own.store.revision) } },
    })
    watch.close()
  })

  it('ends when the server does', async () => {
    await using own = await TestApiServer.start()
    const watch = await own.client(ADMIN).watch(`${PODS}?watch=1`)
    await until(() => own.server.watches === 1)
    await own.server[Symbol.asyncDispose]()
    await until(() => watch.ended)
    expect(watch.response.complete).toBe(true)
  })
})

const LARGE = 'x'.repeat(200_000)

describe('a watcher that does not read', () => {
  it('gets everything in order when it comes back in time', async () => {
    await using own = await TestApiServer.start()
    const client = own.client(ADMIN)
    const watch = await client.watch(`${CONFIG_MAPS}?watch=1`)
    watch.response.pause()
    for (let count = 0; count < 60; count++) await client.post(CONFIG_MAPS, configMapBody(`c${count}`, { LARGE }))
    watch.response.resume()
    await until(() => watch.events.length >= 60)
    expect(watch.summary).toEqual(Array.from({ length: 60 }, (_, index) => `ADDED c${index}`))
    watch.close()
  })

  it('is told 410 when the history has moved on, without anything having been kept for it', async () => {
    await using own = await TestApiServer.start({ store: new MemoryStore({ historyEventsMax: 10 }) })
    const client = own.client(ADMIN)
    const watch = await client.watch(`${CONFIG_MAPS}?watch=1`)
    watch.response.pause()
    for (let count = 0; count < 100; count++) await client.post(CONFIG_MAPS, configMapBody(`c${count}`, { LARGE }))
    watch.response.resume()
    await until(() => watch.ended)
    expect(watch.events.at(-1)).toMatchObject({ type: 'ERROR', object: { code: 410 } })
    const names = watch.events.slice(0, -1).map(({ object }) => object.metadata.name)
    expect(names).toEqual(Array.from({ length: names.length }, (_, index) => `c${index}`))
    expect(names.length).toBeLessThan(90)
    expect(own.server.watches).toBe(0)
  })

  it('is cut off when it reads nothing at all', async () => {
    const clock = new VirtualClock()
    await using own = await TestApiServer.start({ clock })
    const client = own.client(ADMIN)
    const watch = await client.watch(`${CONFIG_MAPS}?watch=1`)
    watch.response.pause()
    for (let count = 0; count < 60; count++) await client.post(CONFIG_MAPS, configMapBody(`c${count}`, { LARGE }))
    await clock.advance(WATCH_STALL_MS)
    await until(() => own.server.watches === 0)
  })

  it('costs no more for a long first list', async () => {
    await using own = await TestApiServer.start()
    const client = own.client(ADMIN)
    for (let count = 0; count < 60; count++) await client.post(CONFIG_MAPS, configMapBody(`c${count + 10}`, { LARGE }))
    const watch = await client.watch(`${CONFIG_MAPS}?watch=1`)
    watch.response.pause()
    await client.delete(`${CONFIG_MAPS}/c10`)
    watch.response.resume()
    await until(() => watch.events.length >= 61)
    expect(watch.summary.slice(0, 60)).toEqual(Array.from({ length: 60 }, (_, index) => `ADDED c${index + 10}`))
    expect(watch.summary[60]).toBe('DELETED c10')
    watch.close()
  })
})
