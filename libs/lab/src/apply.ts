import { isDeepStrictEqual } from 'node:util'
import {
  describeReference,
  type GroupVersionResource,
  type KindDefinition,
  objectKey,
  parseApiVersion,
  type Resource,
} from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import type { ApiClient } from './client/api-client.ts'

/** One object on its way to the API. */
export interface ApplyItem {
  readonly definition: Pick<KindDefinition, 'plural' | 'kind' | 'scope'>
  readonly object: Resource
}

export type ApplyOutcome = 'created' | 'changed' | 'unchanged'

export interface Applied {
  readonly item: ApplyItem
  readonly outcome: ApplyOutcome
  /** As the API has it now. */
  readonly object: Resource
}

export interface ApplyOptions {
  /** The store is known to be empty: saves asking what was there before. */
  readonly fresh?: boolean
  /** The server judges and answers as if; nothing is stored. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal | undefined
}

/** Some object was refused; what had been written was taken back. */
export class ApplyError extends CodedError {
  readonly refusals: readonly { readonly item: ApplyItem; readonly error: CodedError }[]

  constructor(refusals: ApplyError['refusals'], unrestored: readonly string[]) {
    const lines = refusals.map(({ item, error }) => `${describeReference(item.object)}: ${error.message}`)
    const aftermath =
      unrestored.length === 0 ? 'nothing was changed' : `these could not be put back: ${unrestored.join(', ')}`
    super(refusals[0]!.error.code, lines.join('\n'), { origin: 'upstream', next: aftermath })
    this.refusals = refusals
  }
}

/** Kinds that others need to be there: written first, and waited for. */
const FIRST: ReadonlySet<string> = new Set(['Namespace', 'Node', 'Lab'])

/**
 * Makes the API hold these objects: all of them, or, when one is refused, none.
 *
 * Not by a dry-run of everything first: an object in a namespace that the same input creates would be refused by a
 * server that does not have it yet, and between the dry run and the write the answer may change. So each object is
 * remembered before it is written, and a refusal puts all of them back as they were. The server's own validation runs
 * before that, on this side, since it is the same code (libs/api): only what depends on the lab's state is left.
 * @throws ApplyError with each refusal, CodedError UNAVAILABLE
 */
export async function applyAll(
  client: ApiClient,
  items: readonly ApplyItem[],
  options: ApplyOptions = {},
): Promise<Applied[]> {
  const done: Written[] = []
  const waves = [items.filter(isFirst), items.filter((item) => !isFirst(item))]
  for (const wave of waves) {
    const results = await Promise.allSettled(inTurn(wave, (item) => applyOne(client, item, options, done)))
    const refusals = results.flatMap((result, index) =>
      result.status === 'rejected' ? [{ item: wave[index]!, error: asCoded(result.reason) }] : [],
    )
    if (refusals.length > 0) throw new ApplyError(refusals, options.dryRun ? [] : await undo(client, done))
  }
  const byItem = new Map(done.map((written) => [written.item, written]))
  return items.map((item) => byItem.get(item)!)
}

/** All at once, but one after the other what is one object: of two documents about it the last one counts, as with kubectl. */
function inTurn(items: readonly ApplyItem[], write: (item: ApplyItem) => Promise<void>): Promise<void>[] {
  const last = new Map<string, Promise<void>>()
  return items.map((item) => {
    const { group, resource } = typeOf(item)
    const key = `${group}/${resource} ${objectKey(item.object.metadata)}`
    const next = () => write(item)
    const before = last.get(key)
    const written = before ? before.then(next, next) : next()
    last.set(key, written)
    return written
  })
}

interface Written extends Applied {
  readonly previous: Resource | undefined
}

async function applyOne(client: ApiClient, item: ApplyItem, options: ApplyOptions, done: Written[]): Promise<void> {
  const { fresh = false, dryRun = false, signal } = options
  const type = typeOf(item)
  const { name, namespace } = item.object.metadata
  const previous = fresh ? undefined : await client.find<Resource>(type, { name, namespace, signal })
  const { object, created } = await client.applyPatch(type, item.object, { dryRun, signal })
  done.push({ item, object, previous, outcome: outcomeOf(previous, object, created) })
}

/** By content and not by resourceVersion, which a dry run leaves as it is. A status is others' to write, at any time. */
function outcomeOf(previous: Resource | undefined, object: Resource, created: boolean): ApplyOutcome {
  if (created || !previous) return 'created'
  const { status: _, ...before } = withoutBookkeeping(previous)
  const { status: __, ...after } = withoutBookkeeping(object)
  return isDeepStrictEqual(before, after) ? 'unchanged' : 'changed'
}

function withoutBookkeeping(object: Resource): Resource {
  const { resourceVersion: _, managedFields: __, ...metadata } = object.metadata
  return { ...object, metadata }
}

/** In reverse, so that what was needed is removed last. @returns the objects that could not be put back */
async function undo(client: ApiClient, done: readonly Written[]): Promise<string[]> {
  const failed: string[] = []
  for (const written of [...done].reverse()) {
    try {
      await undoOne(client, written)
    } catch {
      failed.push(describeReference(written.object))
    }
  }
  return failed
}

async function undoOne(client: ApiClient, { item, object, previous, outcome }: Written): Promise<void> {
  const type = typeOf(item)
  const { name, namespace } = object.metadata
  if (outcome === 'created') return client.delete(type, { name, namespace })
  if (outcome === 'unchanged' || !previous) return
  await client.replace(type, withoutBookkeeping(previous))
}

/** The type in the version in which the object is written. */
export function typeOf({ definition, object }: ApplyItem): GroupVersionResource {
  return { ...parseApiVersion(object.apiVersion), resource: definition.plural }
}

function isFirst({ definition }: ApplyItem): boolean {
  return FIRST.has(definition.kind)
}

function asCoded(error: unknown): CodedError {
  if (CodedError.is(error)) return error
  throw error
}
