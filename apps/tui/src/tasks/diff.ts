import {
  type ManifestResource,
  type PolicyReplay,
  type PolicyReplayStatus,
  type Resource,
  singularOf,
  stringifyYaml,
} from '@ambient-lab/api'
import { type ApiClient, applyAll } from '@ambient-lab/lab'
import { formatDuration } from '@ambient-lab/std'
import { createTwoFilesPatch } from 'diff'
import { layoutColumns } from '../output/columns.ts'
import { resourceType } from './kinds.ts'
import { POLICY_REPLAYS } from './resource-types.ts'

/** What applying would change. */
export interface Difference {
  /** Objects that would be created or changed. */
  readonly objects: readonly ObjectDifference[]
  readonly effect: PolicyReplayStatus
}

export interface ObjectDifference {
  /** `authorizationpolicy/pay -n shop`, as commands name it. */
  readonly name: string
  readonly outcome: 'created' | 'changed'
  /** Unified diff of the YAML. */
  readonly patch: string
}

export interface DiffInit {
  readonly sinceMs: number
  readonly signal: AbortSignal
}

/** Has the server judge the objects without storing them, and every proxy take its late decisions again with them. */
export async function diffAll(
  client: ApiClient,
  resources: readonly ManifestResource[],
  { sinceMs, signal }: DiffInit,
): Promise<Difference> {
  const applied = await applyAll(client, resources, { dryRun: true, signal })
  const objects = await Promise.all(
    applied.flatMap(({ item, object, outcome }) =>
      outcome === 'unchanged' ? [] : [differenceOf(client, item as ManifestResource, object, outcome, signal)],
    ),
  )
  const changed = applied.filter(({ outcome }) => outcome !== 'unchanged').map(({ object }) => object)
  const review = await client.create<PolicyReplay>(
    POLICY_REPLAYS,
    {
      apiVersion: 'ambient.lab/v1',
      kind: 'PolicyReplay',
      metadata: { name: 'diff' },
      spec: { objects: changed, sinceSeconds: Math.max(1, Math.round(sinceMs / 1000)) },
    },
    { signal },
  )
  return { objects, effect: review.status! }
}

async function differenceOf(
  client: ApiClient,
  { definition }: ManifestResource,
  object: Resource,
  outcome: 'created' | 'changed',
  signal: AbortSignal,
): Promise<ObjectDifference> {
  const { name, namespace } = object.metadata
  const before =
    outcome === 'created' ? undefined : await client.find(resourceType(definition), { name, namespace, signal })
  const label = `${singularOf(definition)}/${name}${namespace === undefined ? '' : ` -n ${namespace}`}`
  const patch = createTwoFilesPatch(
    label,
    label,
    await textOf(before),
    await textOf(object),
    'in the lab',
    'in the files',
  )
  return { name: label, outcome, patch: patch.replace(/^Index: .*\n=+\n/, '') }
}

/** Without what the server sets by itself. */
async function textOf(object: Resource | undefined): Promise<string> {
  if (!object) return ''
  const { status: _, metadata, ...rest } = object
  const { uid, creationTimestamp, resourceVersion, generation, managedFields, ...kept } =
    metadata as Resource['metadata'] & {
      readonly managedFields?: unknown
    }
  return stringifyYaml([{ ...rest, metadata: kept }])
}

/** The patches, then which of the late decisions would come out otherwise. */
export function formatDifference({ objects, effect }: Difference, sinceMs: number): string {
  const patches = objects.map(({ patch }) => patch).join('')
  return patches + formatEffect(effect, sinceMs)
}

function formatEffect({ decisions, flips, refused, silentNodes }: PolicyReplayStatus, sinceMs: number): string {
  const count = flips.reduce((sum, flip) => sum + flip.count, 0)
  const head = `${count} of ${decisions} decisions of the last ${formatDuration(sinceMs)} would come out otherwise\n`
  const rows = flips.map((flip) => [
    flip.becomes.toUpperCase(),
    flip.count,
    flip.identity.replace(/^spiffe:\/\/[^/]+\//, '') || 'plaintext',
    `${flip.request === undefined ? '' : `${flip.request} `}${flip.destination}:${flip.port}`,
    flip.at,
    flip.reason,
  ])
  const table = rows.length === 0 ? '' : layoutColumns(EFFECT_COLUMNS, rows)
  const problems = [
    ...refused.map(({ name, reason }) => `refused by the proxies: ${name}: ${reason}\n`),
    ...silentNodes.map((node) => `node ${node} did not answer: what it decided is not in here\n`),
  ]
  return head + table + problems.join('')
}

const EFFECT_COLUMNS = [
  { title: 'BECOMES' },
  { title: 'COUNT', right: true },
  { title: 'CALLER' },
  { title: 'DESTINATION' },
  { title: 'DECIDED BY' },
  { title: 'REASON' },
]
