import { formatAge, formatDuration, parseDuration } from '@ambient-lab/std'
import { invalidDuration } from '../field-errors.ts'
import { defineKind, type FieldError } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { boolean, integer, object, oneOf, STRING_MAP, STRINGS, string } from '../schema.ts'

export type FaultType = 'link.delay' | 'partition' | 'node.kill'

export interface FaultSpec {
  readonly type: FaultType
  /** Node names; of `link.delay` and `partition`. */
  readonly from?: readonly string[]
  readonly to?: readonly string[]
  /** Only bytes from `from` to `to`, not back. @default false */
  readonly oneway?: boolean
  /** Of `node.kill`. */
  readonly node?: string
  /** Of `link.delay`: `delay` and `jitter`, durations. */
  readonly params?: Readonly<Record<string, string>>
  /** A duration, or the word `forever`. */
  readonly duration: string
  /** `who@host`, for people. */
  readonly owner?: string
  /** The fault ends when `renewTime` is older than this. */
  readonly leaseSeconds?: number
  /** RFC 3339. */
  readonly renewTime?: string
}

export interface FaultStatus {
  readonly phase?: 'Pending' | 'Active' | 'Ended'
  /** RFC 3339. */
  readonly startedAt?: string
  readonly endsAt?: string
  readonly reason?: string
  /** Names of the nodes that carry the fault out now. */
  readonly programmed?: readonly string[]
}

/** Something broken on purpose. Deleting it heals. */
export type Fault = Resource<FaultSpec, FaultStatus>

export const FOREVER = 'forever'

/** What each type takes: its ends, and its params with whether they must be there. All params are durations. */
const TYPES: Readonly<
  Record<FaultType, { readonly ends: 'links' | 'node'; readonly params: Record<string, boolean> }>
> = {
  'link.delay': { ends: 'links', params: { delay: true, jitter: false } },
  partition: { ends: 'links', params: {} },
  'node.kill': { ends: 'node', params: {} },
}

export default defineKind<Fault>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'Fault',
  plural: 'faults',
  shortNames: ['flt'],
  categories: ['ambient-lab'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object(
        {
          type: oneOf(...Object.keys(TYPES)),
          from: STRINGS,
          to: STRINGS,
          oneway: boolean({ default: false }),
          node: string({ minLength: 1 }),
          params: STRING_MAP,
          duration: string({ minLength: 1 }),
          owner: string(),
          leaseSeconds: integer({ minimum: 1 }),
          renewTime: string({ format: 'date-time' }),
        },
        { required: ['type', 'duration'] },
      ),
      status: object(
        {
          phase: oneOf('Pending', 'Active', 'Ended'),
          startedAt: string(),
          endsAt: string(),
          reason: string(),
          programmed: STRINGS,
        },
        { open: true },
      ),
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'TYPE', value: ({ spec }) => spec?.type ?? '' },
    { title: 'TARGET', value: faultTarget },
    { title: 'PARAMS', value: faultParams },
    { title: 'STATE', value: ({ status }) => status?.phase ?? 'Pending' },
    { title: 'LEFT', value: timeLeft },
    { title: 'WHO', value: ({ spec }) => spec?.owner ?? '-' },
    { title: 'PROGRAMMED', wide: true, value: ({ status }) => status?.programmed?.join(',') || '<none>' },
    { title: 'REASON', wide: true, value: ({ status }) => status?.reason || '-' },
  ],
  validate: ({ spec }) => (spec ? [...durationRule(spec), ...endsRule(spec), ...paramsRule(spec)] : []),
})

function durationRule({ duration }: FaultSpec): FieldError[] {
  if (duration === FOREVER || (parseDuration(duration) ?? 0) > 0) return []
  return [invalidDuration('spec.duration', duration, `or "${FOREVER}", which must be said`)]
}

function endsRule(spec: FaultSpec): FieldError[] {
  if (TYPES[spec.type].ends === 'node') {
    return spec.node ? [] : [{ path: 'spec.node', message: `Required value: ${spec.type} needs the node` }]
  }
  const missing = (['from', 'to'] as const).filter((end) => !spec[end]?.length)
  if (missing.length > 0) {
    return missing.map((end) => ({ path: `spec.${end}`, message: `Required value: ${spec.type} needs node names` }))
  }
  const both = spec.from!.find((node) => spec.to!.includes(node))
  if (both === undefined) return []
  return [{ path: 'spec.to', message: `Invalid value: ${JSON.stringify(both)} is on both sides` }]
}

function paramsRule({ type, params = {} }: FaultSpec): FieldError[] {
  const takes = TYPES[type].params
  const missing = Object.keys(takes).filter((name) => takes[name] && params[name] === undefined)
  return [
    ...missing.map((name) => ({ path: `spec.params.${name}`, message: 'Required value: a duration such as 120ms' })),
    ...Object.entries(params).flatMap(([name, value]) => {
      const path = `spec.params.${name}`
      if (takes[name] === undefined) return [{ path, message: unknownParam(type, Object.keys(takes)) }]
      return parseDuration(value) === undefined ? [invalidDuration(path, value)] : []
    }),
  ]
}

function unknownParam(type: FaultType, takes: readonly string[]): string {
  return `Forbidden: ${type} takes ${takes.length > 0 ? `only ${takes.join(' and ')}` : 'no parameters'}`
}

/** `n1,n2 > n3` one way, `n1 <> n3` both, `node/n3`. */
function faultTarget({ spec }: Fault): string {
  if (spec?.node) return `node/${spec.node}`
  const arrow = spec?.oneway ? '>' : '<>'
  return `${spec?.from?.join(',') ?? ''} ${arrow} ${spec?.to?.join(',') ?? ''}`
}

function faultParams({ spec }: Fault): string {
  const { delay, jitter } = spec?.params ?? {}
  return delay ? `${delay}${jitter ? ` +-${jitter}` : ''}` : '-'
}

function timeLeft({ spec, status }: Fault, nowMs: number): string {
  if (status?.phase === 'Ended') return '-'
  if (spec?.duration === FOREVER) return FOREVER
  const endsAtMs = Date.parse(status?.endsAt ?? '')
  if (Number.isFinite(endsAtMs)) return formatAge(endsAtMs - nowMs)
  return formatDuration(parseDuration(spec?.duration ?? '') ?? 0)
}
