import type { Resource } from '@ambient-lab/api'
import type { ApiClient, ResourceList } from '@ambient-lab/lab'
import { CodedError } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { usageError } from '../cli/usage-error.ts'
import { layoutColumns } from '../output/columns.ts'
import type { Format } from '../output/format.ts'
import { type ObjectSet, objectsText } from '../output/print-objects.ts'
import { resourceType, type Selection } from './kinds.ts'

/** The namespaces that the flags mean; undefined stands for all. */
export function namespacesOf({ flags }: CommandContext): readonly (string | undefined)[] {
  if (!flags.has('namespace') || (flags.has('all-namespaces') && flags.boolean('all-namespaces'))) return [undefined]
  return flags.word('namespace').split(',').filter(Boolean)
}

/** Of the commands that have such flags. */
function selectorsOf({ flags }: CommandContext): {
  labelSelector: string | undefined
  fieldSelector: string | undefined
} {
  const text = (name: string) => (flags.has(name) ? flags.text(name) : undefined)
  return { labelSelector: text('selector'), fieldSelector: text('field-selector') }
}

/**
 * Everything that `get` was asked for, side by side.
 * @throws CodedError NOT_FOUND when a named object is missing
 */
export async function fetchSets(context: CommandContext, selections: readonly Selection[]): Promise<ObjectSet[]> {
  const client = await context.api()
  return Promise.all(selections.map((selection) => fetchSet(context, client, selection)))
}

async function fetchSet(context: CommandContext, client: ApiClient, selection: Selection): Promise<ObjectSet> {
  const { definition, names } = selection
  const { signal } = context
  const type = resourceType(definition)
  const namespaces = definition.scope === 'Cluster' ? [undefined] : namespacesOf(context)
  const showNamespace = definition.scope === 'Namespaced' && (namespaces[0] === undefined || namespaces.length > 1)
  if (names.length > 0) {
    if (namespaces.length !== 1 || (definition.scope === 'Namespaced' && namespaces[0] === undefined)) {
      throw usageError('a named object needs one namespace', `-n ${namespaces[0] ?? 'default'}`)
    }
    const objects = await Promise.all(
      names.map((name) => named(client, selection, { name, namespace: namespaces[0], signal })),
    )
    return { definition, objects, single: names.length === 1, showNamespace: false }
  }
  const options = { ...selectorsOf(context), signal }
  const lists: ResourceList[] = await Promise.all(
    namespaces.map((namespace) => client.list(type, { ...options, namespace })),
  )
  const annotations = lists[0]?.metadata.annotations ?? {}
  return { definition, objects: lists.flatMap(({ items }) => items), single: false, showNamespace, annotations }
}

type NamedTarget = { readonly name: string; readonly namespace: string | undefined; readonly signal: AbortSignal }

async function named(client: ApiClient, { definition }: Selection, target: NamedTarget): Promise<Resource> {
  // A virtual kind is computed as a list; its objects have no path of their own.
  const found = definition.virtual
    ? (await client.list(resourceType(definition), { signal: target.signal })).items.find(
        ({ metadata }) => metadata.name === target.name,
      )
    : await client.find(resourceType(definition), target)
  if (found) return found
  const where = target.namespace === undefined ? '' : ` in namespace ${target.namespace}`
  const noun = definition.kind.toLowerCase()
  throw new CodedError('NOT_FOUND', `there is no ${noun}/${target.name}${where}`, {
    next: `ambient get ${definition.plural}${where ? ' -A' : ''}`,
  })
}

/** `get -w`: one line, or one document, per change. Ends with Ctrl-C. */
export async function watchSets(
  context: CommandContext,
  selections: readonly Selection[],
  format: Format,
): Promise<number> {
  if (!['table', 'jsonl', 'json', 'name'].includes(format.type))
    throw usageError('--watch prints table, jsonl or name', '-w -o jsonl')
  const client = await context.api()
  await Promise.all(selections.map((selection) => watchSet(context, client, selection, format)))
  return exitCode('ok')
}

async function watchSet(
  context: CommandContext,
  client: ApiClient,
  selection: Selection,
  format: Format,
): Promise<void> {
  const { definition, names } = selection
  if (definition.virtual)
    throw usageError(
      `${definition.plural} are computed on request and cannot be watched`,
      `ambient get ${definition.plural}`,
    )
  const { flags, signal, io, clock } = context
  const namespaces = definition.scope === 'Cluster' ? [undefined] : namespacesOf(context)
  const namespace = namespaces.length === 1 ? namespaces[0] : undefined
  const options = { namespace, ...selectorsOf(context), signal }
  const showNamespace = definition.scope === 'Namespaced' && namespace === undefined
  let initial: Resource[] | undefined = []
  const wanted = ({ metadata }: Resource) =>
    (names.length === 0 || names.includes(metadata.name)) &&
    (namespaces[0] === undefined || namespaces.includes(metadata.namespace))
  for await (const event of client.watch(resourceType(definition), {
    ...options,
    onState: (error) => sayState(error),
  })) {
    if (event.type === 'SYNCED') {
      if (initial && initial.length > 0) await print(initial, !flags.boolean('no-headers'))
      initial = undefined
    } else if (!wanted(event.object)) continue
    else if (initial) initial.push(event.object)
    else await print([event.object], false, event.type)
  }

  async function print(objects: readonly Resource[], headers: boolean, change?: string): Promise<void> {
    if (format.type === 'jsonl' || format.type === 'json') {
      for (const object of objects) io.answer(`${JSON.stringify({ type: change ?? 'INITIAL', object })}\n`)
      return
    }
    const set = { definition, objects, single: false, showNamespace }
    const text = await objectsText({ sets: [set], format, headers, lab: '', nowMs: clock.now() })
    io.answer(change === 'DELETED' ? text.replace(/\n$/, '  (deleted)\n') : text)
  }

  function sayState(error: CodedError | undefined): void {
    io.talk(error ? `lost the API, trying again: ${error.message}` : 'the API is back')
  }
}

/** Rows with a title line, for answers that are no objects. */
export function rowsText(
  titles: readonly string[],
  rows: readonly (readonly (string | number | null | undefined)[])[],
  headers = true,
): string {
  return layoutColumns(
    titles.map((title) => ({ title })),
    rows,
    headers,
  )
}
