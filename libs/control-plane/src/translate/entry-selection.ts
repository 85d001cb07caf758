import { objectKey } from '@ambient-lab/api'
import type { Service } from '@ambient-lab/xds'
import type { ServiceEntry } from '../stored-kinds.ts'

/** A ServiceEntry that names a host. */
export interface EntryCandidate {
  readonly namespace: string
  readonly name: string
  readonly createdAt: string
  readonly visibility: Service['visibility']
}

/** Which of several ServiceEntries of one host counts. */
export interface EntrySelection {
  /** Name of the one that stands for the host in its namespace: the oldest there. */
  readonly winners: ReadonlyMap<string, string>
  /** `namespace/name` of the one that stands for the host where no other is closer: the oldest that all may see. */
  readonly canonical: string | undefined
}

export function selectEntries(candidates: readonly EntryCandidate[]): EntrySelection {
  const oldestFirst = candidates.toSorted((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1))
  const winners = new Map<string, string>()
  for (const { namespace, name } of oldestFirst) if (!winners.has(namespace)) winners.set(namespace, name)
  const canonical = oldestFirst.find(
    ({ namespace, name, visibility }) => visibility === 'PUBLIC' && winners.get(namespace) === name,
  )
  return { winners, canonical: canonical && `${canonical.namespace}/${canonical.name}` }
}

/** The same age is decided by name. */
function ageOf({ createdAt, namespace, name }: EntryCandidate): string {
  return `${createdAt} ${namespace}/${name}`
}

export function entryCandidate({ metadata }: ServiceEntry, visibility: Service['visibility']): EntryCandidate {
  const { name, namespace = '', creationTimestamp = '' } = metadata
  return { namespace, name, createdAt: creationTimestamp, visibility }
}

/** Keeps, by host, which entries name it. */
export class EntryHosts {
  readonly #byHost = new Map<string, Map<string, ServiceEntry>>()

  add(entry: ServiceEntry): void {
    for (const host of entry.spec?.hosts ?? []) {
      const entries = this.#byHost.get(host) ?? new Map<string, ServiceEntry>()
      this.#byHost.set(host, entries.set(objectKey(entry.metadata), entry))
    }
  }

  remove(entry: ServiceEntry): void {
    for (const host of entry.spec?.hosts ?? []) {
      const entries = this.#byHost.get(host)
      if (entries?.delete(objectKey(entry.metadata)) && entries.size === 0) this.#byHost.delete(host)
    }
  }

  naming(host: string): Iterable<ServiceEntry> {
    return this.#byHost.get(host)?.values() ?? []
  }
}
