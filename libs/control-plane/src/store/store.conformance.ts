import { objectKey, type Resource } from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import { afterEach, describe, expect, it } from 'vitest'
import type { Store, StoreEvent, StoreType } from './store.ts'

export interface StoreSubject {
  readonly store: Store
  /** Closes the store and opens it again over the same data; missing where nothing outlives the process. */
  readonly reopen?: () => Promise<Store>
}

export const PODS = '/pods' as const
const SERVICES = '/services' as const

export function pod(name: string, namespace = 'default', labels: Record<string, string> = {}): Resource {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels } }
}

/** Stores an object whatever was there before. */
export function put(store: Store, type: StoreType, object: Resource): Promise<Resource | undefined> {
  return store.write(type, objectKey(object.metadata), () => object)
}

const names = (objects: readonly Resource[]) => objects.map(({ metadata }) => objectKey(metadata))
const summary = ({ operation, object, revision }: StoreEvent) => `${revision} ${operation} ${object.metadata.name}`

/** What every Store promises. `open` gives an empty one that remembers `historyEventsMax` events. */
export function storeConformance(
  name: string,
  open: (options: { historyEventsMax: number }) => Promise<StoreSubject>,
): void {
  describe(`${name} keeps a store's promises`, () => {
    const opened: Store[] = []
    const openSubject = async () => {
      const subject = await open({ historyEventsMax: 20 })
      opened.push(subject.store)
      return subject
    }
    const openStore = async () => (await openSubject()).store

    afterEach(async () => {
      for (const store of opened.splice(0)) await store[Symbol.asyncDispose]()
    })

    it('starts empty at revision 0', async () => {
      const store = await openStore()
      expect(store.revision).toBe(0)
      expect(store.list(PODS)).toEqual([])
      expect(store.get(PODS, 'default/a')).toBeUndefined()
    })

    it('gives each change its own revision and writes it into the object', async () => {
      const store = await openStore()
      const [a, b] = await Promise.all([put(store, PODS, pod('a')), put(store, SERVICES, pod('b'))])
      expect([a?.metadata.resourceVersion, b?.metadata.resourceVersion]).toEqual(['1', '2'])
      expect(store.get(PODS, 'default/a')).toBe(a)
      expect(store.revision).toBe(2)
    })

    it('lists sorted by key, by namespace exactly, as copies', async () => {
      const store = await openStore()
      const keys: [string, string][] = [
        ['b', 'shop'],
        ['a', 'shop'],
        ['a', 'shop-2'],
        ['a', 'shop0'],
        ['z', 'sho'],
      ]
      for (const [name, namespace] of keys) await put(store, PODS, pod(name, namespace))
      const before = store.list(PODS, { namespace: 'shop' })
      await store.write(PODS, 'shop/a', () => undefined)
      expect(names(before)).toEqual(['shop/a', 'shop/b'])
      expect(names(store.list(PODS, { namespace: 'shop' }))).toEqual(['shop/b'])
      expect(names(store.list(PODS))).toEqual(['sho/z', 'shop-2/a', 'shop/b', 'shop0/a'])
    })

    it('carries out writes in the order of the calls, each seeing those before it', async () => {
      const store = await openStore()
      const writes = Array.from({ length: 10 }, () =>
        store.write(PODS, 'default/a', (current) => {
          const count = Number(current?.metadata.labels?.count ?? 0) + 1
          return pod('a', 'default', { count: String(count) })
        }),
      )
      await Promise.all(writes)
      expect(store.get(PODS, 'default/a')?.metadata.labels).toEqual({ count: '10' })
    })

    it('shows a change every write before it, through reads too', async () => {
      const store = await openStore()
      void put(store, PODS, pod('a'))
      let seen: readonly Resource[] = []
      await store.write(PODS, 'default/b', () => {
        seen = store.list(PODS)
        return pod('b')
      })
      expect(names(seen)).toEqual(['default/a'])
    })

    it('uses no revision when nothing changes', async () => {
      const store = await openStore()
      const a = await put(store, PODS, pod('a'))
      expect(await store.write(PODS, 'default/a', (current) => current)).toBe(a)
      expect(await store.write(PODS, 'default/none', () => undefined)).toBeUndefined()
      expect(store.revision).toBe(1)
    })

    it('rejects with what the change threw, and carries out its neighbours', async () => {
      const store = await openStore()
      const refusal = new CodedError('NO', 'no')
      const refused = store.write(PODS, 'default/a', () => {
        throw refusal
      })
      const neighbour = put(store, PODS, pod('b'))
      await expect(refused).rejects.toBe(refusal)
      expect((await neighbour)?.metadata.resourceVersion).toBe('1')
      expect(store.get(PODS, 'default/a')).toBeUndefined()
    })

    it('keeps what is written together or nothing of it, and tells no watcher of what was undone', async () => {
      const store = await openStore()
      await put(store, PODS, pod('a'))
      const seen: string[] = []
      store.watch({ after: 1 }, (event) => seen.push(summary(event)))
      const asked: string[] = []
      const refuse = (name: string) => () => {
        asked.push(name)
        throw new CodedError('NO', name)
      }
      const refused = store.writeAll([
        { type: PODS, key: 'default/a', change: () => pod('a', 'default', { v: '2' }) },
        { type: PODS, key: 'default/b', change: refuse('b') },
        { type: SERVICES, key: 'default/c', change: () => pod('c') },
        { type: PODS, key: 'default/d', change: refuse('d') },
      ])
      const neighbour = put(store, PODS, pod('e'))
      await expect(refused).rejects.toMatchObject({ code: 'NO', message: 'b' })
      await neighbour
      expect(asked).toEqual(['b', 'd'])
      expect(store.get(PODS, 'default/a')?.metadata.labels).toEqual({})
      expect(store.list(SERVICES)).toEqual([])
      expect(seen).toEqual(['2 added e'])
    })

    it('shows each of the changes written together those before it', async () => {
      const store = await openStore()
      const count = (current: Resource | undefined) =>
        pod('a', 'default', { count: String(Number(current?.metadata.labels?.count ?? 0) + 1) })
      const write = { type: PODS, key: 'default/a', change: count }
      const objects = await store.writeAll([write, write, { ...write, change: (current) => current }])
      expect(objects.map((object) => object?.metadata.labels?.count)).toEqual(['1', '2', '2'])
      expect(store.revision).toBe(2)
    })

    it('answers a dry run as if, and keeps nothing', async () => {
      const store = await openStore()
      const change = () => pod('a')
      const write = { type: PODS, key: 'default/a', change }
      const seen: StoreEvent[] = []
      store.watch({ after: 0 }, (event) => seen.push(event))
      const [object] = await store.writeAll([write], { dryRun: true })
      expect(object?.metadata.name).toBe('a')
      expect([store.revision, store.list(PODS), seen]).toEqual([0, [], []])
    })

    it('delivers events in order, with the state before, before the promise of the write resolves', async () => {
      const store = await openStore()
      const events: StoreEvent[] = []
      store.watch({ type: PODS, after: 0 }, (event) => events.push(event))
      const first = await put(store, PODS, pod('a'))
      expect(events).toHaveLength(1)
      const second = await put(store, PODS, pod('a', 'default', { v: '2' }))
      await put(store, SERVICES, pod('ignored'))
      await store.write(PODS, 'default/a', () => undefined)
      expect(events.map(summary)).toEqual(['1 added a', '2 modified a', '4 deleted a'])
      expect(events.map(({ previous }) => previous)).toEqual([undefined, first, second])
      expect(events[2]?.object.metadata).toMatchObject({ resourceVersion: '4', labels: { v: '2' } })
    })

    it('replays what a watcher missed, then goes on, without gap or duplicate', async () => {
      const store = await openStore()
      for (const name of ['a', 'b', 'c']) await put(store, PODS, pod(name))
      const seen: string[] = []
      const stop = store.watch({ after: 1 }, (event) => seen.push(summary(event)))
      expect(seen).toEqual(['2 added b', '3 added c'])
      await put(store, PODS, pod('d'))
      stop()
      await put(store, PODS, pod('e'))
      expect(seen).toEqual(['2 added b', '3 added c', '4 added d'])
    })

    it('starts a watch inside a listener exactly where it says', async () => {
      const store = await openStore()
      const early: string[] = []
      const late: string[] = []
      store.watch({ after: 0 }, ({ revision }) => {
        if (revision !== 1) return
        store.watch({ after: 1 }, (event) => early.push(summary(event)))
        store.watch({ after: store.revision }, (event) => late.push(summary(event)))
      })
      await Promise.all(['a', 'b', 'c'].map((name) => put(store, PODS, pod(name))))
      await put(store, PODS, pod('d'))
      expect(early).toEqual(['2 added b', '3 added c', '4 added d'])
      expect(late).toEqual(['4 added d'])
    })

    it('keeps the order for everyone when a listener writes', async () => {
      const store = await openStore()
      const seen: number[] = []
      let echoed: Promise<unknown> = Promise.resolve()
      store.watch({ after: 0 }, ({ revision }) => {
        if (revision === 1) echoed = put(store, PODS, pod('echo'))
      })
      store.watch({ after: 0 }, ({ revision }) => seen.push(revision))
      await put(store, PODS, pod('a'))
      await echoed
      expect(seen).toEqual([1, 2])
    })

    it('forgets old events and says so', async () => {
      const store = await openStore()
      for (let count = 0; count < 50; count++) await put(store, PODS, pod(`p${count}`))
      expect(() => store.watch({ after: 29 }, () => {})).toThrow(expect.objectContaining({ code: 'REVISION_GONE' }))
      const seen: number[] = []
      store.watch({ after: 30 }, ({ revision }) => seen.push(revision))
      expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => 31 + index))
    })

    it('refuses to watch from a revision that it has not reached', async () => {
      const store = await openStore()
      expect(() => store.watch({ after: 7 }, () => {})).toThrow(expect.objectContaining({ code: 'REVISION_GONE' }))
    })

    it('finishes what was asked of it before it closes', async () => {
      const store = await openStore()
      const write = put(store, PODS, pod('a'))
      await store[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
      expect((await write)?.metadata.resourceVersion).toBe('1')
    })

    it('has everything back after it was closed', async (context) => {
      const { store, reopen } = await openSubject()
      context.skip(reopen === undefined, 'this store ends with its process')
      for (const name of ['a', 'b', 'c']) await put(store, PODS, pod(name))
      await store.write(PODS, 'default/b', () => undefined)
      const again = await reopen!()
      opened.push(again)
      expect(names(again.list(PODS))).toEqual(['default/a', 'default/c'])
      expect(again.list(PODS)).toEqual(store.list(PODS))
      expect(again.revision).toBe(4)
      expect(() => again.watch({ after: 3 }, () => {})).toThrow(expect.objectContaining({ code: 'REVISION_GONE' }))
      expect((await put(again, PODS, pod('d')))?.metadata.resourceVersion).toBe('5')
    })
  })
}
