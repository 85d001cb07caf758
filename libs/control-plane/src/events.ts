import { type Event, objectKey, type Resource } from '@ambient-lab/api'
import type { CancelTimer } from '@ambient-lab/std'
import { type Cluster, stableSeed } from './cluster.ts'
import { EVENTS } from './stored-kinds.ts'

export interface EventSource {
  readonly component: string
  readonly host?: string
}

export interface Occurrence {
  readonly type: 'Normal' | 'Warning'
  /** CamelCase: `Scheduled`, `FailedScheduling`. */
  readonly reason: string
  readonly message: string
}

/** Events wait so long for others: a lab that starts has more urgent things to write. */
const FLUSH_AFTER_MS = 50
/** Events kept; the oldest go first. */
const EVENTS_MAX = 2000
/** Events that are removed together, so that not each new one removes one. */
const TRIM_SLACK = 200

interface Pending {
  readonly object: Resource
  readonly occurrence: Occurrence
  readonly source: EventSource
  readonly firstAt: string
  lastAt: string
  count: number
}

/** Writes Kubernetes Events. What happens again to the same object with the same words is counted, not repeated. */
export class EventRecorder implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #pending = new Map<string, Pending>()
  #cancel: CancelTimer | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  record(object: Resource, source: EventSource, occurrence: Occurrence): void {
    const name = eventName(object, source, occurrence)
    const now = this.#cluster.now()
    const pending = this.#pending.get(name)
    if (pending) {
      pending.lastAt = now
      pending.count += 1
    } else {
      this.#pending.set(name, { object, occurrence, source, firstAt: now, lastAt: now, count: 1 })
    }
    this.#cancel ??= this.#cluster.clock.schedule(FLUSH_AFTER_MS, () => void this.flush(), { background: true })
  }

  /** Writes what waits. Events are news, not state: where the store refuses them they are dropped. */
  flush(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    const batch = [...this.#pending]
    this.#pending.clear()
    const writes = batch.map(([name, pending]) => this.#write(name, pending))
    this.#flushing = Promise.allSettled([this.#flushing, ...writes]).then(() => this.#trim())
    return this.#flushing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.flush()
  }

  async #write(name: string, pending: Pending): Promise<void> {
    const namespace = pending.object.metadata.namespace ?? 'default'
    await this.#cluster.store.write(EVENTS, `${namespace}/${name}`, (current) => {
      const count = ((current as Event | undefined)?.count ?? 0) + pending.count
      if (current) return { ...current, count, lastTimestamp: pending.lastAt }
      return this.#cluster.withMetadata(newEvent(name, namespace, pending))
    })
  }

  async #trim(): Promise<void> {
    const events = this.#cluster.list(EVENTS)
    if (events.length <= EVENTS_MAX + TRIM_SLACK) return
    const lastSeen = ({ lastTimestamp }: Event) => lastTimestamp ?? ''
    const byAge = events.toSorted((a, b) => (lastSeen(a) < lastSeen(b) ? -1 : 1))
    const surplus = byAge.slice(0, events.length - EVENTS_MAX)
    await Promise.allSettled(surplus.map(({ metadata }) => this.#cluster.remove(EVENTS, objectKey(metadata))))
  }
}

/** The same for what counts as the same, so that the store itself finds the event to count up. */
function eventName(object: Resource, source: EventSource, { type, reason, message }: Occurrence): string {
  const same = [object.metadata.uid, source.component, source.host, type, reason, message].join('\u0000')
  return `${object.metadata.name}.${stableSeed(same).toString(16).padStart(8, '0')}`
}

function newEvent(
  name: string,
  namespace: string,
  { object, occurrence, source, firstAt, lastAt, count }: Pending,
): Event {
  const { apiVersion, kind, metadata } = object
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace },
    involvedObject: {
      apiVersion,
      kind,
      ...(metadata.namespace && { namespace: metadata.namespace }),
      name: metadata.name,
      ...(metadata.uid && { uid: metadata.uid }),
    },
    ...occurrence,
    source,
    firstTimestamp: firstAt,
    lastTimestamp: lastAt,
    count,
  }
}
