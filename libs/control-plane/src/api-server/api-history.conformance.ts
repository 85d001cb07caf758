import { isDeepStrictEqual } from 'node:util'
import type { Resource } from '@ambient-lab/api'
import type { Store, StoreEvent, StoreType } from '../store/store.ts'
import type { Answered } from './in-process-api.conformance.ts'

/** One request with what surrounds it: the revisions at which it was sent and answered. */
export interface Call {
  readonly verb: 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete'
  readonly name: string
  /** What the caller asks the object to have been, where it says so. */
  readonly resourceVersion?: string | undefined
  readonly data?: Readonly<Record<string, string | null>>
  readonly sentAt: number
  readonly answeredAt: number
  /** Undefined: the server died, and nobody knows. */
  readonly answer: Answered | undefined
}

/**
 * What really happened to one type, revision by revision, as the store told it; and whether what callers were told fits
 * into it: each answer must be that of one moment between its request and itself (linearizability).
 */
export class ApiHistory {
  readonly events: StoreEvent[] = []
  readonly calls: Call[] = []
  readonly #type: StoreType
  #stop = () => {}

  constructor(type: StoreType) {
    this.#type = type
  }

  /** Until `leave`, or for ever. */
  follow(store: Store): void {
    this.#stop = store.watch({ type: this.#type, after: store.revision }, (event) => this.events.push(event))
  }

  /** The store's process is dead: what it goes on with in memory has not happened. */
  leave(): void {
    this.#stop()
  }

  /** What there is at a revision, by name. */
  stateAt(revision: number): ReadonlyMap<string, Resource> {
    const state = new Map<string, Resource>()
    for (const event of this.events) {
      if (event.revision > revision) break
      const { name } = event.object.metadata
      if (event.operation === 'deleted') state.delete(name)
      else state.set(name, event.object)
    }
    return state
  }

  /** @returns what does not fit */
  contradictions(): string[] {
    const claimed = new Set<StoreEvent>()
    const wrong = this.calls.flatMap((call) =>
      this.#explains(call, claimed) ? [] : [`not to be explained: ${text(call)}`],
    )
    const lost = this.calls.filter(({ verb, answer }) => !answer && verb !== 'get' && verb !== 'list')
    const unclaimed = this.events.filter((event) => !claimed.has(event))
    const phantoms = unclaimed.filter((event) => !lost.some((call) => this.#mayHaveCaused(call, event)))
    return [
      ...wrong,
      ...phantoms.map(
        ({ revision, operation, object }) => `nobody asked for ${revision} ${operation} ${object.metadata.name}`,
      ),
    ]
  }

  #explains(call: Call, claimed: Set<StoreEvent>): boolean {
    const { verb, name, answer, sentAt, answeredAt } = call
    if (!answer) return true
    const { status, body } = answer
    const at = (holds: (object: Resource | undefined) => boolean) => this.#moments(name, sentAt, answeredAt).some(holds)
    if (verb === 'list') return status === 200 && this.#isList(body, sentAt, answeredAt)
    if (status === 404) return verb !== 'create' && at((object) => object === undefined)
    if (status === 409) return this.#isConflict(call, at)
    // Nothing may come of it: an event that nobody else claims is a phantom.
    if (status === 507) return verb !== 'get'
    if (status !== 200 && status !== 201) return false
    if (verb === 'get') return at((object) => isDeepStrictEqual(object, body))
    const event = this.#effectOf(call, claimed)
    if (event) claimed.add(event)
    // What changes nothing writes nothing, and answers what there is.
    return (
      event !== undefined || (verb !== 'create' && verb !== 'delete' && at((object) => isDeepStrictEqual(object, body)))
    )
  }

  #isList(
    body: { metadata: { resourceVersion: string }; items: Resource[] },
    sentAt: number,
    answeredAt: number,
  ): boolean {
    const revision = Number(body.metadata.resourceVersion)
    const state = [...this.stateAt(revision).values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    return revision >= sentAt && revision <= answeredAt && isDeepStrictEqual(body.items, state)
  }

  #isConflict(
    { verb, resourceVersion }: Call,
    at: (holds: (object: Resource | undefined) => boolean) => boolean,
  ): boolean {
    if (verb === 'create') return at((object) => object !== undefined)
    return at((object) => object !== undefined && object.metadata.resourceVersion !== resourceVersion)
  }

  /** The one event that is this call's doing, whole and with what it was asked to look at. */
  #effectOf(
    { verb, name, data = {}, resourceVersion, sentAt, answeredAt, answer }: Call,
    claimed: ReadonlySet<StoreEvent>,
  ) {
    const body = answer!.body as Resource & { data?: Record<string, string> }
    return this.events.find((event) => {
      const { revision, object, previous, operation } = event
      if (revision <= sentAt || revision > answeredAt || object.metadata.name !== name || claimed.has(event))
        return false
      if (resourceVersion !== undefined && previous?.metadata.resourceVersion !== resourceVersion) return false
      if (verb === 'delete') return operation === 'deleted'
      if (String(revision) !== body.metadata.resourceVersion || !isDeepStrictEqual(object, body)) return false
      const base = verb === 'patch' ? ((previous as typeof body)?.data ?? {}) : {}
      return isDeepStrictEqual(body.data, merged(base, data)) && (operation === 'added') === (verb === 'create')
    })
  }

  #mayHaveCaused({ verb, name, sentAt }: Call, { operation, object, revision }: StoreEvent): boolean {
    const causes = { added: ['create'], modified: ['update', 'patch'], deleted: ['delete'] }[operation]
    return causes.includes(verb) && object.metadata.name === name && revision > sentAt
  }

  /** Everything that the object was between two revisions, both included. */
  #moments(name: string, from: number, to: number): (Resource | undefined)[] {
    const changes = this.events.filter(
      ({ revision, object }) => revision > from && revision <= to && object.metadata.name === name,
    )
    return [
      this.stateAt(from).get(name),
      ...changes.map(({ operation, object }) => (operation === 'deleted' ? undefined : object)),
    ]
  }
}

/** RFC 7386 for a flat object of texts. */
function merged(
  base: Readonly<Record<string, string>>,
  patch: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const result: Record<string, string> = { ...base }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = value
  }
  return result
}

function text({ verb, name, resourceVersion, data, sentAt, answeredAt, answer }: Call): string {
  const asked = `${verb} ${name} ${resourceVersion ?? ''} ${JSON.stringify(data ?? {})}`
  return `${asked} between ${sentAt} and ${answeredAt} → ${answer?.status} ${JSON.stringify(answer?.body)}`
}
