import type { Resource } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { formatAge } from '@ambient-lab/std'
import { cellText, layoutColumns } from '../output/columns.ts'
import { EVENTS } from './resource-types.ts'

/** core/v1 Event, as far as it is shown. */
export interface EventObject extends Resource {
  readonly type?: string
  readonly reason?: string
  readonly message?: string
  readonly count?: number
  readonly lastTimestamp?: string
  readonly source?: { readonly component?: string; readonly host?: string }
}

/** What happened to one object, oldest first. */
export async function eventsOf(
  client: ApiClient,
  object: Resource,
  signal: AbortSignal,
): Promise<readonly EventObject[]> {
  const { name, namespace, uid } = object.metadata
  const fieldSelector = `involvedObject.name=${name},involvedObject.kind=${object.kind}`
  const { items } = await client.list<EventObject>(EVENTS, { namespace, fieldSelector, signal })
  const own = items.filter((event) => {
    const about = event.involvedObject as { uid?: string } | undefined
    return !about?.uid || !uid || about.uid === uid
  })
  return [...own].sort((a, b) => ((a.lastTimestamp ?? '') < (b.lastTimestamp ?? '') ? -1 : 1))
}

/** kubectl's shape: names at the left, nested fields indented, conditions and events as tables. */
export function describeText(object: Resource, events: readonly EventObject[], nowMs: number): string {
  const { metadata, apiVersion, kind, status, ...rest } = object
  const head: [string, unknown][] = [
    ['Name', metadata.name],
    ...(metadata.namespace ? [['Namespace', metadata.namespace] as [string, unknown]] : []),
    ['Kind', `${kind} (${apiVersion})`],
    ['Labels', metadata.labels],
    ['Annotations', metadata.annotations],
    ['Age', age(metadata.creationTimestamp, nowMs)],
    ...((metadata.ownerReferences ?? [])
      .filter(({ controller }) => controller)
      .map(({ kind: owner, name }) => ['Controlled By', `${owner}/${name}`]) as [string, unknown][]),
  ]
  const { conditions, ...plain } = (status ?? {}) as { conditions?: readonly Record<string, unknown>[] }
  return [
    ...head.map(([label, value]) => fieldText(label, value, 0)),
    ...Object.entries(rest).map(([label, value]) => fieldText(title(label), value, 0)),
    ...(Object.keys(plain).length > 0 ? [fieldText('Status', plain, 0)] : []),
    conditions ? conditionsText(conditions, nowMs) : '',
    eventsText(events, nowMs),
  ].join('')
}

const INDENT = 2

function fieldText(label: string, value: unknown, depth: number): string {
  const lead = ' '.repeat(depth * INDENT)
  if (value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)) {
    return `${lead}${label}: <none>\n`
  }
  if (typeof value !== 'object') return `${lead}${label}: ${cellText(String(value))}\n`
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object'))
    return `${lead}${label}: ${value.map((item) => cellText(String(item))).join(', ')}\n`
  const entries = Array.isArray(value)
    ? value.map((item, index) => [`- ${index + 1}`, item] as const)
    : Object.entries(value)
  return `${lead}${label}:\n${entries.map(([name, child]) => fieldText(name, child, depth + 1)).join('')}`
}

function conditionsText(conditions: readonly Record<string, unknown>[], nowMs: number): string {
  const rows = conditions.map(({ type, status, reason, message, lastTransitionTime }) =>
    [type, status, age(lastTransitionTime as string | undefined, nowMs), reason, message].map((cell) =>
      cell === undefined ? undefined : String(cell),
    ),
  )
  const columns = ['TYPE', 'STATUS', 'SINCE', 'REASON', 'MESSAGE'].map((name) => ({ title: name }))
  return `Conditions:\n${indent(layoutColumns(columns, rows))}`
}

function eventsText(events: readonly EventObject[], nowMs: number): string {
  if (events.length === 0) return 'Events: <none>\n'
  const columns = ['TYPE', 'REASON', 'AGE', 'FROM', 'MESSAGE'].map((name) => ({ title: name }))
  const rows = events.map(({ type, reason, count = 1, lastTimestamp, source, message }) => [
    type,
    reason,
    `${age(lastTimestamp, nowMs)}${count > 1 ? ` (x${count})` : ''}`,
    [source?.component, source?.host].filter(Boolean).join('@'),
    message,
  ])
  return `Events:\n${indent(layoutColumns(columns, rows))}`
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(INDENT))
}

function age(time: string | undefined, nowMs: number): string {
  const atMs = Date.parse(time ?? '')
  return Number.isFinite(atMs) ? formatAge(nowMs - atMs) : '-'
}

function title(field: string): string {
  return field.charAt(0).toUpperCase() + field.slice(1)
}
