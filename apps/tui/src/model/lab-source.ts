import type { GroupVersionResource, Resource } from '@ambient-lab/api'
import { objectKey } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { type Clock, CodedError, Emitter, every } from '@ambient-lab/std'
import { buildModel, EMPTY_MODEL, type LabModel } from './lab-model.ts'
import { type ConnectionObject, type EdgeObject, EMPTY_SNAPSHOT, type LabSnapshot } from './snapshot.ts'

/** How often traffic is asked for and the picture is made anew. */
const REFRESH_MS = 250

const LAB = { group: 'ambient.lab', version: 'v1' } as const
const CORE = { group: '', version: 'v1' } as const

/** What is followed by watch: field of the snapshot → type. */
const WATCHED = {
  nodes: { ...CORE, resource: 'nodes' },
  namespaces: { ...CORE, resource: 'namespaces' },
  pods: { ...CORE, resource: 'pods' },
  services: { ...CORE, resource: 'services' },
  events: { ...CORE, resource: 'events' },
  deployments: { group: 'apps', version: 'v1', resource: 'deployments' },
  faults: { ...LAB, resource: 'faults' },
  loads: { ...LAB, resource: 'loads' },
} as const satisfies Partial<Record<keyof LabSnapshot, GroupVersionResource>>

type WatchedField = keyof typeof WATCHED

export interface LabSourceInit {
  readonly lab: string
  readonly api: ApiClient
  readonly clock: Clock
}

/**
 * Keeps a LabModel in step with one lab's API: objects by watch, traffic by asking four times a second. Data that comes
 * faster is merged; an API that is silent leaves the last model standing, older by the second.
 */
export class LabSource implements AsyncDisposable {
  readonly changed = new Emitter<LabModel>()
  readonly #init: LabSourceInit
  readonly #objects: Readonly<Record<WatchedField, Map<string, Resource>>>
  readonly #stopping = new AbortController()
  readonly #watches: Promise<void>[] = []
  readonly #unsynced = new Set<WatchedField>(Object.keys(WATCHED) as WatchedField[])
  readonly #synced = Promise.withResolvers<void>()
  #contactAtMs = 0
  #traffic: Pick<LabSnapshot, 'connections' | 'edges' | 'lost' | 'silentNodes'> = EMPTY_SNAPSHOT
  #model: LabModel = EMPTY_MODEL
  #asking = false

  constructor(init: LabSourceInit) {
    this.#init = init
    this.#objects = Object.fromEntries(Object.keys(WATCHED).map((field) => [field, new Map()])) as never
  }

  get model(): LabModel {
    return this.#model
  }

  /**
   * Resolves when every kind was listed once.
   * @throws CodedError when the API cannot be reached at all; the signal's reason
   */
  async start(signal: AbortSignal): Promise<void> {
    // A watch goes on asking an API that is not there; one question tells.
    await this.#init.api.raw('GET', '/version', { signal })
    const giveUp = () => this.#synced.reject(signal.reason)
    signal.addEventListener('abort', giveUp, { once: true })
    for (const field of Object.keys(WATCHED) as WatchedField[]) this.#watches.push(this.#follow(field))
    await this.#synced.promise.finally(() => signal.removeEventListener('abort', giveUp))
    await this.refresh()
    const cancel = every(this.#init.clock, REFRESH_MS, () => void this.refresh())
    this.#stopping.signal.addEventListener('abort', cancel)
  }

  /** Asks for traffic once and makes the model anew. */
  async refresh(): Promise<void> {
    if (!this.#asking) {
      this.#asking = true
      await this.#askTraffic()
      this.#asking = false
    }
    if (!this.#stopping.signal.aborted) this.#publish()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new CodedError('DISPOSED', 'the lab is no longer followed'))
    await Promise.allSettled(this.#watches)
  }

  async #follow(field: WatchedField): Promise<void> {
    const { signal } = this.#stopping
    const objects = this.#objects[field]
    try {
      for await (const event of this.#init.api.watch(WATCHED[field], { signal })) {
        this.#contactAtMs = this.#init.clock.now()
        if (event.type === 'SYNCED') this.#markSynced(field)
        else if (event.type === 'DELETED') objects.delete(objectKey(event.object.metadata))
        else objects.set(objectKey(event.object.metadata), event.object)
      }
    } catch (error) {
      if (!signal.aborted) this.#synced.reject(error)
    }
  }

  #markSynced(field: WatchedField): void {
    this.#unsynced.delete(field)
    if (this.#unsynced.size === 0) this.#synced.resolve()
  }

  async #askTraffic(): Promise<void> {
    const { api } = this.#init
    const { signal } = this.#stopping
    try {
      const [connections, edges] = await Promise.all([
        api.list({ ...LAB, resource: 'connections' }, { signal }),
        api.list({ ...LAB, resource: 'edges' }, { signal }),
      ])
      const annotations = connections.metadata.annotations ?? {}
      this.#contactAtMs = this.#init.clock.now()
      this.#traffic = {
        connections: connections.items as unknown as readonly ConnectionObject[],
        edges: edges.items as unknown as readonly EdgeObject[],
        lost: Number(annotations['ambient.lab/lost'] ?? 0),
        silentNodes: (annotations['ambient.lab/silent-nodes'] ?? '').split(',').filter(Boolean),
      }
    } catch {
      // The model grows stale and says so; the watches report what is wrong.
    }
  }

  #publish(): void {
    const fields = Object.entries(this.#objects).map(([field, objects]) => [field, [...objects.values()]])
    const snapshot: LabSnapshot = {
      ...EMPTY_SNAPSHOT,
      ...Object.fromEntries(fields),
      ...this.#traffic,
      lab: this.#init.lab,
      atMs: this.#init.clock.now(),
      contactAtMs: this.#contactAtMs,
    }
    this.#model = buildModel(snapshot, this.#model.history)
    this.changed.emit(this.#model)
  }
}
