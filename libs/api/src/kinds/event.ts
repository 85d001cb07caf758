import { formatAge } from '@ambient-lab/std'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { integer, object, string } from '../schema.ts'

export interface ObjectReference {
  readonly apiVersion?: string
  readonly kind?: string
  readonly namespace?: string
  readonly name?: string
  readonly uid?: string
  readonly fieldPath?: string
}

/** Something that happened to an object; repeated ones are counted. */
export interface Event extends Resource {
  readonly involvedObject: ObjectReference
  /** CamelCase, for programs. */
  readonly reason?: string
  readonly message?: string
  readonly type?: 'Normal' | 'Warning'
  readonly count?: number
  /** RFC 3339. */
  readonly firstTimestamp?: string
  readonly lastTimestamp?: string
  readonly source?: { readonly component?: string; readonly host?: string }
}

export default defineKind<Event>({
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  scope: 'Namespaced',
  statusSubresource: false,
  bareColumns: true,
  schema: object(
    {
      involvedObject: object({ kind: string(), namespace: string(), name: string(), uid: string() }, { open: true }),
      reason: string(),
      message: string(),
      type: string(),
      count: integer(),
      firstTimestamp: string({ format: 'date-time', nullable: true }),
      lastTimestamp: string({ format: 'date-time', nullable: true }),
      source: object({ component: string(), host: string() }),
    },
    { required: ['involvedObject'], open: true },
  ),
  columns: [
    {
      title: 'LAST SEEN',
      value: ({ lastTimestamp, firstTimestamp }, now) => ago(lastTimestamp ?? firstTimestamp, now),
    },
    { title: 'TYPE', value: ({ type }) => type ?? 'Normal' },
    { title: 'REASON', value: ({ reason }) => reason ?? '' },
    {
      title: 'OBJECT',
      value: ({ involvedObject }) => `${(involvedObject?.kind ?? '').toLowerCase()}/${involvedObject?.name ?? ''}`,
    },
    { title: 'SUBOBJECT', wide: true, value: ({ involvedObject }) => involvedObject?.fieldPath ?? '' },
    { title: 'SOURCE', wide: true, value: sourceText },
    { title: 'MESSAGE', value: ({ message }) => (message ?? '').trim() },
    { title: 'FIRST SEEN', wide: true, value: ({ firstTimestamp }, now) => ago(firstTimestamp, now) },
    { title: 'COUNT', wide: true, type: 'integer', value: ({ count }) => count ?? 1 },
    { title: 'NAME', wide: true, value: ({ metadata }) => metadata.name },
  ],
})

function ago(time: string | undefined, nowMs: number): string {
  const timeMs = Date.parse(time ?? '')
  return Number.isFinite(timeMs) ? formatAge(nowMs - timeMs) : '<unknown>'
}

function sourceText({ source }: Event): string {
  return [source?.component, source?.host].filter(Boolean).join(', ')
}
