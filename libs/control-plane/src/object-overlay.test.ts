import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { beforeEach, describe, expect, it } from 'vitest'
import { Cluster } from './cluster.ts'
import { service } from './control-plane.conformance.ts'
import { ObjectOverlay } from './object-overlay.ts'
import { MemoryStore } from './store/memory-store.ts'
import { SERVICES } from './stored-kinds.ts'

let cluster: Cluster
let overlay: ObjectOverlay
const named = (name: string, namespace = 'default') => {
  const object = service(name)
  return { ...object, metadata: { ...object.metadata, namespace } }
}

beforeEach(async () => {
  cluster = new Cluster({ store: new MemoryStore(), clock: new VirtualClock(), random: new SeededRandom(1) })
  for (const name of ['a', 'c', 'e']) await cluster.create(SERVICES, named(name))
  overlay = new ObjectOverlay(cluster)
})

const names = (namespace?: string) => overlay.list(SERVICES, namespace).map(({ metadata }) => metadata.name)

describe('ObjectOverlay', () => {
  it('is the store where nothing was changed', () => {
    expect(overlay.list(SERVICES)).toEqual(cluster.list(SERVICES))
    expect(overlay.get(SERVICES, 'default/a')).toBe(cluster.get(SERVICES, 'default/a'))
  })

  it('shows new, replaced and removed objects, sorted by key', () => {
    overlay.set(SERVICES, named('d'))
    const replaced = { ...named('c'), spec: { ports: [{ port: 1 }] } }
    overlay.set(SERVICES, replaced)
    overlay.remove(SERVICES, 'default/e')
    expect(names()).toEqual(['a', 'c', 'd'])
    expect(overlay.get(SERVICES, 'default/c')).toBe(replaced)
    expect(overlay.get(SERVICES, 'default/e')).toBeUndefined()
  })

  it('keeps namespaces apart', () => {
    overlay.set(SERVICES, named('b', 'other'))
    expect(names('default')).toEqual(['a', 'c', 'e'])
    expect(names('other')).toEqual(['b'])
  })

  it('leaves the store as it is', () => {
    overlay.set(SERVICES, named('z'))
    overlay.remove(SERVICES, 'default/a')
    expect(cluster.list(SERVICES).map(({ metadata }) => metadata.name)).toEqual(['a', 'c', 'e'])
  })
})
