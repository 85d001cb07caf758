import type { Resource } from '@ambient-lab/api'
import { expect, it } from 'vitest'
import { MemoryStore } from './memory-store.ts'
import { storeConformance } from './store.conformance.ts'

storeConformance('memory', async (options) => ({ store: new MemoryStore(options) }))

it('refuses changes while it is full, all of one turn, and nothing else', async () => {
  const store = new MemoryStore()
  const object: Resource = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'default' } }
  const write = () => store.write('/pods', 'default/a', () => ({ ...object }))
  await write()
  store.isFull = true
  await expect(write()).rejects.toMatchObject({ code: 'STORE_WRITE_FAILED' })
  expect(await store.write('/pods', 'default/a', (current) => current)).toMatchObject(object)
  expect(store.revision).toBe(1)
  store.isFull = false
  expect((await write())?.metadata.resourceVersion).toBe('2')
})
