import type { GroupVersionResource, KindDefinition, Resource } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { usageError } from '../cli/usage-error.ts'
import { parseSelections, resourceType } from './kinds.ts'
import { waitUntil } from './wait-until.ts'

export interface Deletion {
  readonly type: GroupVersionResource
  /** As the answer names the type. */
  readonly label: string
  readonly name: string
  readonly namespace: string | undefined
}

/** Every object that the arguments and files of `delete` mean. @throws CodedError USAGE */
export async function deletionsOf(context: CommandContext, client: ApiClient): Promise<Deletion[]> {
  return [...(await fromFiles(context)), ...(context.args.length > 0 ? await fromArguments(context, client) : [])]
}

async function fromFiles({ flags, io }: CommandContext): Promise<Deletion[]> {
  const files = flags.list('filename')
  if (files.length === 0) return []
  const { readManifests } = await import('@ambient-lab/lab')
  const options = { defaultNamespace: flags.word('namespace'), readStdin: io.readStdin }
  const { resources } = await readManifests(files, options)
  return resources
    .map(({ definition, object }) => deletion(definition, object.metadata.name, object.metadata.namespace))
    .reverse()
}

async function fromArguments({ flags, args, signal }: CommandContext, client: ApiClient): Promise<Deletion[]> {
  const namespaceOf = ({ scope }: KindDefinition) => (scope === 'Cluster' ? undefined : flags.word('namespace'))
  const labelSelector = flags.text('selector')
  const found: Deletion[] = []
  for (const { definition, names } of parseSelections(args)) {
    const namespace = namespaceOf(definition)
    if (names.length > 0) {
      found.push(...names.map((name) => deletion(definition, name, namespace)))
      continue
    }
    if (labelSelector === undefined && !flags.boolean('all')) {
      throw usageError(`which ${definition.plural}?`, `${definition.plural}/NAME, -l EXPR, or --all`)
    }
    const { items } = await client.list<Resource>(resourceType(definition), { namespace, labelSelector, signal })
    found.push(...items.map(({ metadata }) => deletion(definition, metadata.name, metadata.namespace)))
  }
  return found
}

function deletion(definition: KindDefinition, name: string, namespace: string | undefined): Deletion {
  return { type: resourceType(definition), label: definition.kind.toLowerCase(), name, namespace }
}

/** @throws CodedError TIMEOUT naming what is still there */
export async function waitUntilGone(
  context: CommandContext,
  client: ApiClient,
  deletions: readonly Deletion[],
): Promise<void> {
  const { flags, clock, signal } = context
  const timeoutMs = flags.durationMs('timeout') ?? 0
  await Promise.all(
    deletions.map(({ type, label, name, namespace }) =>
      waitUntil(client, type, {
        options: { namespace, fieldSelector: `metadata.name=${name}` },
        done: (objects) => objects.size === 0,
        describe: () =>
          new CodedError('TIMEOUT', `${label}/${name} is still there`, { next: `ambient describe ${label}/${name}` }),
        timeoutMs,
        clock,
        signal,
      }),
    ),
  )
}
