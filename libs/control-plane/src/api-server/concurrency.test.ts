import { cpSync } from 'node:fs'
import { type Random, SeededRandom, sleep, VirtualClock } from '@ambient-lab/std'
import { temporaryFolder } from '@ambient-lab/testing'
import { describe, expect, it } from 'vitest'
import { MemoryStore } from '../store/memory-store.ts'
import { SqliteStore } from '../store/sqlite-store.ts'
import type { Store } from '../store/store.ts'
import { ApiHistory, type Call } from './api-history.conformance.ts'
import { ApiWatcher } from './api-watcher.conformance.ts'
import { CONFIG_MAPS } from './harness.conformance.ts'
import { configMap, InProcessApi } from './in-process-api.conformance.ts'

const TYPE = '/configmaps'
const CLIENTS = 6
const CALLS_EACH = 25
const NAMES = ['a', 'b', 'c']
/** One seed alone is seen again with `AMBIENT_SEED=7 AMBIENT_SEEDS=1`. */
const SEED_FIRST = Number(process.env.AMBIENT_SEED ?? 1)
/** So few that a watcher which was away has missed some now and then. */
const HISTORY_EVENTS = 30
const LIMIT_MS = 60_000
/** On a slow machine, with others at work. */
const SEED_TIMEOUT_MS = 10_000

/** What outlives an API server. */
interface Ground {
  readonly store: Store
  /** The store as a new process finds it when this one is killed now. */
  restart(): Promise<Store>
  /** Where a full disk can be had. */
  readonly fill?: (isFull: boolean) => void
}

describe.each([
  ['memory', Number(process.env.AMBIENT_SEEDS ?? 12), memoryGround],
  ['sqlite', Number(process.env.AMBIENT_SEEDS ?? 4), sqliteGround],
] as const)('an API server over a %s store', (_, seeds, makeGround) => {
  it(`answers as if one after the other, and its watchers miss nothing (${seeds} seeds)`, {
    timeout: SEED_TIMEOUT_MS * seeds,
  }, async () => {
    for (let seed = SEED_FIRST; seed < SEED_FIRST + seeds; seed += 1) {
      await using folder = await temporaryFolder()
      const run = new ApiRun(new SeededRandom(seed), makeGround(folder.path))
      await run.done()
      expect({ seed, contradictions: run.contradictions() }).toEqual({ seed, contradictions: [] })
    }
  })
})

/** Some callers and watchers, and a server that is killed under them. */
class ApiRun {
  readonly clock = new VirtualClock()
  readonly #random: Random
  readonly #ground: Ground
  readonly #history = new ApiHistory(TYPE)
  readonly #watchers: ApiWatcher[] = []
  #api: InProcessApi

  constructor(random: Random, ground: Ground) {
    this.#random = random
    this.#ground = ground
    this.#api = this.#serve(ground.store)
  }

  /** Time goes on while connections are under way: what is written to one arrives in a later turn. */
  async done(): Promise<void> {
    let isDone = false
    const running = this.#run().finally(() => {
      isDone = true
    })
    running.catch(() => {}) // awaited below
    while (!isDone && this.clock.monotonic() < LIMIT_MS) await this.clock.advance(1)
    await (isDone ? running : expect.unreachable('the run does not end'))
  }

  async #run(): Promise<void> {
    await this.#api.store.write('/namespaces', 'default', () => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'default' },
    }))
    const stop = new AbortController()
    for (const [index, selector] of ['', '', 'labelSelector=color%3Dred', 'allowWatchBookmarks=true'].entries()) {
      const random = this.#random.fork(`watcher ${index}`)
      const init = { path: CONFIG_MAPS, selector, api: () => this.#api, clock: this.clock, random }
      this.#watchers.push(new ApiWatcher(init))
    }
    const watching = this.#watchers.map((watcher) => watcher.run(stop.signal))
    const clients = Array.from({ length: CLIENTS }, (_, index) => this.#client(this.#random.fork(`client ${index}`)))
    await Promise.all([
      ...clients,
      this.#killer(this.#random.fork('killer')),
      this.#filler(this.#random.fork('filler')),
    ])
    for (const watcher of this.#watchers) watcher.hurry()
    await sleep(this.clock, 5_000)
    stop.abort()
    await Promise.all(watching)
  }

  contradictions(): string[] {
    const last = this.#api.store.revision
    return [
      ...this.#history.contradictions(),
      ...this.#watchers.flatMap((watcher) => watcher.contradictions(this.#history, last)),
      ...(this.#api.watches > 0 ? [`${this.#api.watches} watches are open`] : []),
    ]
  }

  #serve(store: Store): InProcessApi {
    this.#history.follow(store)
    return new InProcessApi(store, { clock: this.clock, random: this.#random.fork(`api ${store.revision}`) })
  }

  async #killer(random: Random): Promise<void> {
    for (let times = random.integer(3); times > 0; times -= 1) {
      await sleep(this.clock, random.integer(3_000))
      this.#api.kill()
      this.#history.leave()
      const store = await this.#ground.restart()
      expect(store.list(TYPE)).toEqual([...this.#history.stateAt(store.revision).values()].sort(byName))
      this.#api = this.#serve(store)
    }
  }

  async #filler(random: Random): Promise<void> {
    for (let times = this.#ground.fill ? random.integer(3) : 0; times > 0; times -= 1) {
      await sleep(this.clock, random.integer(2_000))
      this.#ground.fill!(true)
      await sleep(this.clock, random.integer(500))
      this.#ground.fill!(false)
    }
  }

  async #client(random: Random): Promise<void> {
    let known: string | undefined
    for (let count = 0; count < CALLS_EACH; count += 1) {
      await sleep(this.clock, random.integer(4) === 0 ? 0 : random.integer(200))
      const api = this.#api
      const asked = draw(random, known)
      const sentAt = api.store.revision
      const answer = await api.call(...requestOf(asked, random))
      this.#history.calls.push({ ...asked, sentAt, answeredAt: api.store.revision, answer })
      known = answer?.body.metadata?.resourceVersion ?? known
    }
  }
}

type Asked = Pick<Call, 'verb' | 'name' | 'resourceVersion' | 'data'>

function draw(random: Random, known: string | undefined): Asked {
  const name = random.pick(NAMES)
  const verb = random.pick(['get', 'list', 'create', 'create', 'update', 'update', 'patch', 'patch', 'delete'] as const)
  const value = String(random.integer(5))
  if (verb === 'create' || verb === 'update') {
    const ballast = 'x'.repeat(random.integer(3) === 0 ? random.integer(3_000) : 0)
    const isGuarded = verb === 'update' && random.integer(2) === 0
    return { verb, name, data: { value, ballast }, ...(isGuarded && { resourceVersion: known }) }
  }
  if (verb === 'patch')
    return { verb, name, data: { [random.pick(['value', 'other'])]: random.integer(4) === 0 ? null : value } }
  return { verb, name }
}

function requestOf({ verb, name, resourceVersion, data }: Asked, random: Random): Parameters<InProcessApi['call']> {
  const path = `${CONFIG_MAPS}/${name}`
  if (verb === 'get') return ['GET', path]
  if (verb === 'list') return ['GET', CONFIG_MAPS]
  if (verb === 'delete') return ['DELETE', path]
  if (verb === 'patch') return ['PATCH', path, { data }, 'application/merge-patch+json']
  const object = configMap(name, data as Record<string, string>, { color: random.pick(['red', 'blue']) })
  const guarded = { ...object, metadata: { ...object.metadata, ...(resourceVersion && { resourceVersion }) } }
  return verb === 'create' ? ['POST', CONFIG_MAPS, object] : ['PUT', path, guarded]
}

function byName(a: { metadata: { name: string } }, b: { metadata: { name: string } }): number {
  return a.metadata.name < b.metadata.name ? -1 : 1
}

/** It lives on in its process: only the server is another. */
function memoryGround(): Ground {
  const store = new MemoryStore({ historyEventsMax: HISTORY_EVENTS })
  const fill = (isFull: boolean) => {
    store.isFull = isFull
  }
  return { store, restart: async () => store, fill }
}

/** The files as they are at the moment, opened by another. */
function sqliteGround(folder: string): Ground {
  const clock = new VirtualClock()
  let life = 0
  const path = () => `${folder}/${life}/store.sqlite`
  const open = () =>
    new SqliteStore({ init: { path: path(), historyEventsMax: HISTORY_EVENTS }, components: { clock } })
  let current = open()
  const restart = async () => {
    const before = current
    cpSync(`${folder}/${life}`, `${folder}/${life + 1}`, { recursive: true })
    life += 1
    current = open()
    await before[Symbol.asyncDispose]()
    return current
  }
  return { store: current, restart }
}
