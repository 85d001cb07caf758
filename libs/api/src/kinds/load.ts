import { parseBytes, parseDuration } from '@ambient-lab/std'
import { invalidDuration } from '../field-errors.ts'
import { defineKind, type FieldError } from '../kind.ts'
import { parseTypedName } from '../reference.ts'
import type { Resource } from '../resource.ts'
import { integer, object, oneOf, STRING_MAP, string } from '../schema.ts'

export interface LoadSpec {
  /** Who sends: `deploy/curl`, `pod/curl-1`, or a bare name, which is a pod's or else a deployment's. */
  readonly from: string
  /** As the sender dials it: `http://productpage:9080/productpage`, `tcp://tcp-echo:9000`. */
  readonly url: string
  /** @default 'GET' */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Total, per second, intended: `20/s`. */
  readonly rate: string
  /** Absent: until the Load is deleted. */
  readonly duration?: string
  /** Not counted, before the run. */
  readonly warmup?: string
  /** Of tcp: sent and expected back on each connection, `4KiB`. */
  readonly bytes?: string
  readonly maxInFlight?: number
}

export interface LatencySummaryMs {
  readonly min: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly mean: number
}

export interface LoadStatus {
  readonly phase?: 'Pending' | 'Running' | 'Finished' | 'Failed'
  readonly node?: string
  readonly intended?: number
  readonly sent?: number
  readonly completed?: number
  readonly failed?: number
  readonly late?: number
  /** By status code, or by error code for those that got no answer. */
  readonly outcomes?: Readonly<Record<string, number>>
  /** From the intended start. */
  readonly latencyMs?: LatencySummaryMs
  /** From the actual start: what a closed loop would have claimed. */
  readonly uncorrectedMs?: LatencySummaryMs
  /** HdrHistogram V2, compressed, base64, µs. */
  readonly histogram?: string
  readonly message?: string
  /** RFC 3339. */
  readonly startedAt?: string
  readonly finishedAt?: string
}

export type Load = Resource<LoadSpec, LoadStatus>

export default defineKind<Load>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'Load',
  plural: 'loads',
  categories: ['ambient-lab'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        {
          from: string({ minLength: 1 }),
          url: string({ minLength: 1 }),
          method: string({ default: 'GET', pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" }),
          headers: STRING_MAP,
          body: string(),
          rate: string(),
          duration: string(),
          warmup: string(),
          bytes: string(),
          maxInFlight: integer({ minimum: 1, maximum: 100_000 }),
        },
        { required: ['from', 'url', 'rate'] },
      ),
      status: object({ phase: oneOf('Pending', 'Running', 'Finished', 'Failed') }, { open: true }),
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'FROM', value: ({ spec }) => spec?.from ?? '' },
    { title: 'URL', value: ({ spec }) => spec?.url ?? '' },
    { title: 'RATE', value: ({ spec }) => spec?.rate ?? '' },
    { title: 'STATE', value: ({ status }) => status?.phase ?? 'Pending' },
    { title: 'SENT', type: 'integer', value: ({ status }) => status?.sent ?? 0 },
    { title: 'OK%', value: okPercent },
    { title: 'P50', value: ({ status }) => milliseconds(status?.latencyMs?.p50) },
    { title: 'P99', value: ({ status }) => milliseconds(status?.latencyMs?.p99) },
    { title: 'FAILED', wide: true, type: 'integer', value: ({ status }) => status?.failed ?? 0 },
    { title: 'LATE', wide: true, type: 'integer', value: ({ status }) => status?.late ?? 0 },
    { title: 'NODE', wide: true, value: ({ status }) => status?.node || '<none>' },
    { title: 'MESSAGE', wide: true, value: ({ status }) => status?.message || '-' },
  ],
  validate: ({ spec }) => (spec ? [...fromRule(spec), ...urlRule(spec), ...rateRule(spec), ...amounts(spec)] : []),
})

/** `20/s` → 20, `600/m` → 10; undefined for anything else, a bare number included. */
export function parseRatePerSecond(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\/(s|m|h)$/.exec(text)
  if (!match) return undefined
  const perSecond = Number(match[1]) / { s: 1, m: 60, h: 3600 }[match[2] as 's' | 'm' | 'h']
  return perSecond > 0 ? perSecond : undefined
}

const SENDERS = ['deploy', 'deployment', 'deployments', 'pod', 'pods', 'po', 'wl', 'workload']

function fromRule({ from }: LoadSpec): FieldError[] {
  if (!from.includes('/') || SENDERS.includes(parseTypedName(from)?.type ?? '')) return []
  const message = `Invalid value: ${JSON.stringify(from)}: want deploy/NAME, pod/NAME or a bare name`
  return [{ path: 'spec.from', message }]
}

function urlRule({ url }: LoadSpec): FieldError[] {
  const invalid = (why: string) => [{ path: 'spec.url', message: `Invalid value: ${JSON.stringify(url)}: ${why}` }]
  if (!/^[a-z]+:\/\//.test(url)) return invalid(`a scheme is missing: http://${url} or tcp://${url}`)
  const parsed = URL.parse(url)
  if (parsed === null || parsed.hostname === '') return invalid('not a URL such as http://productpage:9080/productpage')
  if (parsed.protocol === 'http:') return []
  if (parsed.protocol !== 'tcp:') return invalid('want http:// or tcp:// (the mesh adds the TLS)')
  return parsed.port === '' ? invalid('tcp:// needs a port') : []
}

function rateRule({ rate }: LoadSpec): FieldError[] {
  if (parseRatePerSecond(rate) !== undefined) return []
  const hint = /^\d+(\.\d+)?$/.test(rate) ? `the unit is missing: ${rate}/s` : 'want a total rate such as 20/s or 600/m'
  return [{ path: 'spec.rate', message: `Invalid value: ${JSON.stringify(rate)}: ${hint}` }]
}

function amounts({ duration, warmup, bytes }: LoadSpec): FieldError[] {
  const errors: FieldError[] = []
  if (duration !== undefined && !parseDuration(duration)) {
    errors.push(invalidDuration('spec.duration', duration, 'or leave it out to run until deleted'))
  }
  if (warmup !== undefined && parseDuration(warmup) === undefined) errors.push(invalidDuration('spec.warmup', warmup))
  if (bytes !== undefined && parseBytes(bytes) === undefined) {
    const hint = /^\d+$/.test(bytes) ? `the unit is missing: ${bytes}B` : 'want a size such as 512B or 4KiB'
    errors.push({ path: 'spec.bytes', message: `Invalid value: ${JSON.stringify(bytes)}: ${hint}` })
  }
  return errors
}

function okPercent({ status }: Load): string {
  const { completed = 0, failed = 0 } = status ?? {}
  const answered = completed + failed
  return answered === 0 ? '-' : ((100 * completed) / answered).toFixed(1)
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '-' : `${value < 10 ? value.toFixed(1) : Math.round(value)}ms`
}
