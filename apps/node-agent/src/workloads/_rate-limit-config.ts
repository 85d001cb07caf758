import { CodedError, errorMessage } from '@ambient-lab/std'
import { parseDescriptors, type RawDescriptor } from './_rate-limit-yaml.ts'

/** By name in configuration; the numbers are those of `RateLimitResponse.RateLimit.Unit`. */
export const UNITS = {
  SECOND: { number: 1, seconds: 1 },
  MINUTE: { number: 2, seconds: 60 },
  HOUR: { number: 3, seconds: 3_600 },
  DAY: { number: 4, seconds: 86_400 },
  MONTH: { number: 5, seconds: 30 * 86_400 },
  YEAR: { number: 6, seconds: 365 * 86_400 },
  WEEK: { number: 7, seconds: 7 * 86_400 },
} as const

export type Unit = keyof typeof UNITS

/** Undefined for a number that no unit has. */
export function unitOfNumber(number: number): Unit | undefined {
  return (Object.keys(UNITS) as Unit[]).find((name) => UNITS[name].number === number)
}

/** What one descriptor of the configuration allows. */
export interface Limit {
  readonly requestsPerUnit: number
  /** Absent: unlimited. */
  readonly unit?: Unit
  readonly name: string
  /** Names of limits that do not count where this one does. */
  readonly replaces: readonly string[]
  /** Counts, and never refuses. */
  readonly shadowMode: boolean
  /** Refuses only when every limit in quota mode that a request meets is used up. */
  readonly quotaMode: boolean
}

/** A limit that a request meets. */
export interface MetLimit {
  readonly limit: Limit
  /** What its statistics are called. */
  readonly key: string
  /** The values that are counted apart; those that share a threshold are the pattern that they match. */
  readonly countedValues: readonly string[]
}

export interface DescriptorEntry {
  readonly key: string
  readonly value: string
}

/** What a request is about, as Envoy sends it. */
export interface Descriptor {
  readonly entries: readonly DescriptorEntry[]
  /** The caller's own limit, in place of what is configured. */
  readonly override?: { readonly requestsPerUnit: number; readonly unit: Unit }
  /** Absent: the request's. Zero looks and does not count. */
  readonly hitsAddend?: number
}

/** One level of the configuration. */
interface Level {
  /** By `key`, or `key_value`. */
  readonly nodes: Map<string, Node>
  /** In the order of the file, of which the first that matches counts. */
  readonly wildcards: { readonly parts: readonly string[]; readonly node: Node }[]
}

interface Node extends Level {
  /** `key`, or `key_value`. */
  readonly name: string
  /** From the domain on: `domain.key_value.key`. */
  readonly fullKey: string
  /** With its asterisks; absent where it has none, or no value at all. */
  readonly pattern?: string
  readonly limit?: Limit
  readonly detailedMetric: boolean
  readonly valueToMetric: boolean
  readonly shareThreshold: boolean
}

/**
 * Limits by domain and descriptor, in the YAML of Envoy's reference rate limit service.
 * @see https://github.com/envoyproxy/ratelimit#configuration
 */
export class RateLimitConfig {
  readonly #domains = new Map<string, Level>()

  /**
   * @param files their text by name; one domain in two of them is a mistake unless `mergesDomains`
   * @throws CodedError RATE_LIMIT_CONFIG_INVALID naming file, descriptor and reason
   */
  static async parse(files: ReadonlyMap<string, string>, mergesDomains = false): Promise<RateLimitConfig> {
    const config = new RateLimitConfig()
    for (const [file, text] of files) {
      try {
        const { domain, descriptors } = await parseDescriptors(text)
        if (config.#domains.has(domain) && !mergesDomains)
          throw new Error(`duplicate domain '${domain}' in config file`)
        const level = config.#domains.get(domain) ?? emptyLevel()
        addDescriptors(level, descriptors, domain)
        config.#domains.set(domain, level)
      } catch (cause) {
        throw new CodedError('RATE_LIMIT_CONFIG_INVALID', `${file}: ${errorMessage(cause)}`, { cause })
      }
    }
    return config
  }

  get domainCount(): number {
    return this.#domains.size
  }

  hasDomain(domain: string): boolean {
    return this.#domains.has(domain)
  }

  /** As many levels deep as the descriptor has entries; at each, key and value before a wildcard before the key alone. */
  limitOf(domain: string, { entries, override }: Descriptor): MetLimit | undefined {
    let level: Level | undefined = this.#domains.get(domain)
    if (!level) return undefined
    if (override) return overriding(domain, entries, override)
    const path: Node[] = []
    for (const entry of entries) {
      const node: Node | undefined = level && nodeFor(level, entry)
      if (!node) return undefined
      path.push(node)
      level = node
    }
    const limit = path.at(-1)?.limit
    if (!limit) return undefined
    return {
      limit,
      key: metricKey(domain, path, entries),
      countedValues: entries.map(({ value }, index) => sharedPattern(path[index]!) ?? value),
    }
  }

  /** A line for each limit, as the reference service's `/rlconfig`. */
  dump(): string {
    const lines: string[] = []
    const collect = ({ nodes }: Level): void => {
      for (const node of nodes.values()) {
        if (node.limit) lines.push(`${node.fullKey}: ${limitText(node.limit)}\n`)
        collect(node)
      }
    }
    for (const level of this.#domains.values()) collect(level)
    return lines.join('')
  }
}

function limitText({ unit, requestsPerUnit, shadowMode, quotaMode }: Limit): string {
  return `unit=${unit ?? 'UNKNOWN'} requests_per_unit=${requestsPerUnit}, shadow_mode: ${shadowMode}, quota_mode: ${quotaMode}`
}

function emptyLevel(): Level {
  return { nodes: new Map(), wildcards: [] }
}

function addDescriptors(level: Level, descriptors: readonly RawDescriptor[], parent: string): void {
  for (const raw of descriptors) {
    if (raw.key === '') throw new Error(`${parent}: descriptor has empty key`)
    const name = raw.value === '' ? raw.key : `${raw.key}_${raw.value}`
    const fullKey = `${parent}.${name}`
    if (level.nodes.has(name)) throw new Error(`duplicate descriptor composite key '${fullKey}'`)
    const isWildcard = name.includes('*')
    if (raw.shareThreshold && !isWildcard) {
      throw new Error(`${fullKey}: share_threshold can only be used with wildcard values (containing '*')`)
    }
    const limit = limitOf(raw, fullKey)
    const node: Node = {
      ...emptyLevel(),
      name,
      fullKey,
      ...(isWildcard && { pattern: raw.value }),
      ...(limit && { limit }),
      detailedMetric: raw.detailedMetric,
      valueToMetric: raw.valueToMetric,
      shareThreshold: raw.shareThreshold,
    }
    addDescriptors(node, raw.descriptors, fullKey)
    level.nodes.set(name, node)
    if (isWildcard) level.wildcards.push({ parts: name.split('*'), node })
  }
}

function limitOf({ rateLimit, shadowMode, quotaMode }: RawDescriptor, fullKey: string): Limit | undefined {
  if (!rateLimit) return undefined
  const { unit, unlimited, requestsPerUnit, name, replaces } = rateLimit
  const known = unit.toUpperCase() as Unit
  const isUnit = Object.hasOwn(UNITS, known)
  if (unlimited && isUnit) throw new Error(`${fullKey}: should not specify rate limit unit when unlimited`)
  if (!unlimited && !isUnit) throw new Error(`${fullKey}: invalid rate limit unit '${unit}'`)
  if (replaces.includes('')) throw new Error(`${fullKey}: should not have an empty replaces entry`)
  if (replaces.includes(name)) throw new Error(`${fullKey}: replaces should not contain name of same descriptor`)
  return { requestsPerUnit, ...(!unlimited && { unit: known }), name, replaces, shadowMode, quotaMode }
}

function nodeFor({ nodes, wildcards }: Level, { key, value }: DescriptorEntry): Node | undefined {
  const name = `${key}_${value}`
  return nodes.get(name) ?? wildcards.find(({ parts }) => matchesParts(parts, name))?.node ?? nodes.get(key)
}

/** @param parts what stands between the asterisks of a pattern, each of which is any text */
function matchesParts(parts: readonly string[], text: string): boolean {
  const first = parts[0]!
  const last = parts.at(-1)!
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

/** The caller's own limit is counted by all of the descriptor. */
function overriding(domain: string, entries: readonly DescriptorEntry[], own: Descriptor['override'] & {}): MetLimit {
  const limit: Limit = { ...own, name: '', replaces: [], shadowMode: false, quotaMode: false }
  return { limit, key: [domain, ...entries.map(fullName)].join('.'), countedValues: entries.map(({ value }) => value) }
}

function sharedPattern({ shareThreshold, pattern }: Node): string | undefined {
  return shareThreshold ? pattern : undefined
}

/** Rolled up under what is configured, unless a descriptor wants its values told apart. */
function metricKey(domain: string, path: readonly Node[], entries: readonly DescriptorEntry[]): string {
  const isDetailed = path.at(-1)!.detailedMetric
  const names = path.map((node, index) => {
    const entry = entries[index]!
    const shared = sharedPattern(node)
    if (shared !== undefined) return fullName({ key: entry.key, value: shared })
    return isDetailed || node.valueToMetric ? fullName(entry) : node.name
  })
  return [domain, ...names].join('.')
}

function fullName({ key, value }: DescriptorEntry): string {
  return value === '' ? key : `${key}_${value}`
}
