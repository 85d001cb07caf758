import { BAGGAGE_BYTES_MAX, BAGGAGE_MEMBERS_MAX } from './limits.ts'

export type BaggageWorkloadType = 'deployment' | 'pod' | 'job' | 'cronjob'

/** What one ztunnel tells the other about the workload at its end of the tunnel. Claims, for labels: never for policy. */
export interface Baggage {
  readonly clusterId?: string | undefined
  readonly namespace?: string | undefined
  readonly workloadName?: string | undefined
  readonly workloadType?: BaggageWorkloadType | undefined
  readonly serviceName?: string | undefined
  /** The canonical revision. */
  readonly revision?: string | undefined
  readonly region?: string | undefined
  readonly zone?: string | undefined
}

const WORKLOAD_KEY = /^k8s\.(deployment|pod|job|cronjob)\.name$/

const KEYS: Readonly<Record<string, keyof Baggage>> = {
  'k8s.cluster.name': 'clusterId',
  'k8s.namespace.name': 'namespace',
  'service.name': 'serviceName',
  'service.version': 'revision',
  'cloud.region': 'region',
  'cloud.availability_zone': 'zone',
}

/** The value of a `baggage` header, in ztunnel's order; empty members are left out. */
export function formatBaggage(baggage: Baggage): string {
  const members: [string, string | undefined][] = [
    ['k8s.cluster.name', baggage.clusterId],
    ['k8s.namespace.name', baggage.namespace],
    [`k8s.${baggage.workloadType ?? 'deployment'}.name`, baggage.workloadName],
    ['service.name', baggage.serviceName],
    ['service.version', baggage.revision],
    ['cloud.region', baggage.region],
    ['cloud.availability_zone', baggage.zone],
  ]
  return members.flatMap(([key, value]) => (value ? [`${key}=${encodeValue(value)}`] : [])).join(',')
}

/**
 * Reads one header value or several. Unknown members, properties and broken members are passed over; of two members with
 * the same key the later counts. Beyond the bounds of the standard nothing is read at all.
 * @see https://www.w3.org/TR/baggage/#baggage-http-header-format
 */
export function parseBaggage(header: string | readonly string[] | undefined): Baggage {
  const text = typeof header === 'string' ? header : (header ?? []).join(',')
  if (text.length > BAGGAGE_BYTES_MAX) return {}
  const members = text.split(',')
  if (members.length > BAGGAGE_MEMBERS_MAX) return {}
  const baggage: { -readonly [Key in keyof Baggage]: string } = {}
  for (const member of members) {
    const [pair = ''] = member.split(';', 1)
    const equals = pair.indexOf('=')
    const key = pair.slice(0, equals).trim()
    const value = equals < 0 ? '' : decodeValue(pair.slice(equals + 1).trim())
    if (value === '') continue
    const workloadType = WORKLOAD_KEY.exec(key)?.[1]
    if (workloadType) Object.assign(baggage, { workloadName: value, workloadType })
    else if (Object.hasOwn(KEYS, key)) baggage[KEYS[key]!] = value
  }
  return baggage as Baggage
}

/** Everything but the standard's `baggage-octet`; a percent sign too, or decoding would not give it back. */
function encodeValue(value: string): string {
  return value.replace(/[^!#$&-+\--:<-[\]-~]/gu, (character) => encodeURIComponent(character.toWellFormed()))
}

/** A percent sign that starts no UTF-8 leaves the value as it came. */
function decodeValue(value: string): string {
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
