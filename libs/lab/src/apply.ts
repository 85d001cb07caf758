import {
  type ApplyOutcome,
  type BatchResult,
  describeReference,
  type GroupVersionResource,
  type KindDefinition,
  objectKey,
  parseApiVersion,
  type Resource,
} from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import type { ApiClient } from './client/api-client.ts'
import { statusError } from './client/status-error.ts'
import { BATCH_CHARACTERS_MAX, BATCH_OBJECTS_MAX, BATCHES_AT_ONCE } from './limits.ts'

/** One object on its way to the API. */
export interface ApplyItem {
  readonly definition: Pick<KindDefinition, 'plural' | 'kind' | 'scope'>
  readonly object: Resource
}

export interface Applied {
  readonly item: ApplyItem
  readonly outcome: ApplyOutcome
  /** As the API has it now. */
  readonly object: Resource
}

export interface ApplyOptions {
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

/** Kinds that others need to be there: written first. */
const FIRST: ReadonlySet<string> = new Set(['Namespace', 'Node', 'Lab'])

/**
 * Makes the API hold these objects: all of them, or, when one is refused, none.
 *
 * They go in batches, each of which the server applies in one transaction or not at all: one transaction of ten
 * thousand objects would be a second in which it does nothing else. When a later batch is refused, what those before it
 * changed is put back. The server's own validation runs before that, on this side, since it is the same code
 * (libs/api): only what depends on the lab's state is left.
 * @returns in the order of `items`
 * @throws ApplyError with each refusal, CodedError UNAVAILABLE
 */
export async function applyAll(
  client: ApiClient,
  items: readonly ApplyItem[],
  options: ApplyOptions = {},
): Promise<Applied[]> {
  const first = batchesOf(items.filter(isFirst))
  const others = batchesOf(items.filter((item) => !isFirst(item)))
  // One alone after the other where their order counts: of two documents about one object the last one wins.
  const steps = [...first.map((batch) => [batch]), ...(hasTwice(items) ? others.map((batch) => [batch]) : [others])]
  // A lab that is made of a few objects is one transaction.
  const merged = first.length === 1 && others.length === 1 ? [[[...first[0]!, ...others[0]!]]] : steps
  const attempt = new Attempt(client, options)
  for (const batches of merged) {
    await attempt.run(batches)
    await attempt.throwIfRefused()
  }
  return items.map((item) => attempt.done.get(item)!)
}

interface Written extends Applied {
  readonly previous: Resource | undefined
}

/** What has been written so far, and what was refused. */
class Attempt {
  readonly done = new Map<ApplyItem, Written>()
  readonly #client: ApiClient
  readonly #options: ApplyOptions
  readonly #refusals: { item: ApplyItem; error: CodedError }[] = []

  constructor(client: ApiClient, options: ApplyOptions) {
    this.#client = client
    this.#options = options
  }

  /** Several at once. After a refusal the rest is only judged, so that every refusal is told. */
  async run(batches: readonly (readonly ApplyItem[])[]): Promise<void> {
    const waiting = [...batches]
    const work = async () => {
      for (let batch = waiting.shift(); batch; batch = waiting.shift()) {
        try {
          await this.#apply(batch)
        } catch (error) {
          waiting.length = 0
          this.#refusals.push({ item: batch[0]!, error: asCoded(error) })
        }
      }
    }
    await Promise.all(Array.from({ length: BATCHES_AT_ONCE }, work))
  }

  async throwIfRefused(): Promise<void> {
    if (this.#refusals.length === 0) return
    const written = this.#options.dryRun ? [] : [...this.done.values()]
    throw new ApplyError(this.#refusals, await undo(this.#client, written))
  }

  async #apply(batch: readonly ApplyItem[]): Promise<void> {
    const dryRun = this.#options.dryRun || this.#refusals.length > 0
    const objects = batch.map(({ object }) => object)
    for (const result of await this.#client.applyBatch(objects, { ...this.#options, dryRun })) {
      const item = batch[result.index]!
      if (result.outcome === 'refused') this.#refusals.push({ item, error: refusalError(result.refusal) })
      else if (dryRun === (this.#options.dryRun ?? false)) this.done.set(item, writtenOf(item, result))
    }
  }
}

function writtenOf(item: ApplyItem, { outcome, object, previous }: Exclude<BatchResult, { outcome: 'refused' }>) {
  return { item, outcome, object, previous } satisfies Written
}

function refusalError(status: { readonly code: number }): CodedError {
  return statusError(status.code, JSON.stringify(status))
}

/** As many to a batch as keep the server busy for some milliseconds. */
function batchesOf(items: readonly ApplyItem[]): ApplyItem[][] {
  const batches: ApplyItem[][] = []
  let characters = 0
  for (const item of items) {
    const length = JSON.stringify(item.object).length
    const batch = batches.at(-1)
    characters += length
    if (batch && batch.length < BATCH_OBJECTS_MAX && characters <= BATCH_CHARACTERS_MAX) {
      batch.push(item)
    } else {
      batches.push([item])
      characters = length
    }
  }
  return batches
}

function hasTwice(items: readonly ApplyItem[]): boolean {
  const keys = items.map((item) => {
    const { group, resource } = typeOf(item)
    return `${group}/${resource} ${objectKey(item.object.metadata)}`
  })
  return new Set(keys).size < keys.length
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
  const { resourceVersion: _, managedFields: __, ...metadata } = previous.metadata
  await client.replace(type, { ...previous, metadata })
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
