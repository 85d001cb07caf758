/** A descriptor as it is written, each field there. */
export interface RawDescriptor {
  readonly key: string
  readonly value: string
  readonly rateLimit?: {
    readonly requestsPerUnit: number
    readonly unit: string
    readonly unlimited: boolean
    readonly name: string
    readonly replaces: readonly string[]
  }
  readonly shadowMode: boolean
  readonly quotaMode: boolean
  readonly detailedMetric: boolean
  readonly valueToMetric: boolean
  readonly shareThreshold: boolean
  readonly descriptors: readonly RawDescriptor[]
}

const UINT32_MAX = 0xffff_ffff
const KEYS = {
  file: ['domain', 'descriptors'],
  descriptor: [
    ...['key', 'value', 'rate_limit', 'descriptors', 'shadow_mode', 'quota_mode', 'detailed_metric'],
    ...['value_to_metric', 'share_threshold', 'metadata'],
  ],
  rate_limit: ['requests_per_unit', 'unit', 'unlimited', 'name', 'replaces'],
  replaces: ['name'],
} as const

/** @throws Error with the reason, and the place where the file is no YAML */
export async function parseDescriptors(text: string): Promise<{ domain: string; descriptors: RawDescriptor[] }> {
  const { parseDocument } = await import('./_yaml.ts')
  // Every scalar is its text: `value: 007` and `value: yes` are what a request carries.
  const document = parseDocument(text, { schema: 'failsafe', prettyErrors: true })
  const [problem] = document.errors
  if (problem) throw new Error(`error loading config file: ${problem.message.split('\n')[0]?.replace(/:$/, '')}`)
  const root = map(document.toJS(), 'file', 'the file')
  const domain = scalar(root, 'domain', 'the file')
  if (domain === '') throw new Error('config file cannot have empty domain')
  return { domain, descriptors: descriptorsOf(root, domain) }
}

function descriptorsOf(of: Fields, where: string): RawDescriptor[] {
  return list(of, 'descriptors', where).map((item): RawDescriptor => {
    const fields = map(item, 'descriptor', where)
    const key = scalar(fields, 'key', where)
    const value = scalar(fields, 'value', where)
    const here = `${where}.${value === '' ? key : `${key}_${value}`}`
    const limit = fields.rate_limit
    return {
      key,
      value,
      ...(limit !== undefined && limit !== '' && { rateLimit: rateLimitOf(map(limit, 'rate_limit', here), here) }),
      shadowMode: flag(fields, 'shadow_mode', here),
      quotaMode: flag(fields, 'quota_mode', here),
      detailedMetric: flag(fields, 'detailed_metric', here),
      valueToMetric: flag(fields, 'value_to_metric', here),
      shareThreshold: flag(fields, 'share_threshold', here),
      descriptors: descriptorsOf(fields, here),
    }
  })
}

function rateLimitOf(fields: Fields, where: string): NonNullable<RawDescriptor['rateLimit']> {
  return {
    requestsPerUnit: uint32(fields, 'requests_per_unit', where),
    unit: scalar(fields, 'unit', where),
    unlimited: flag(fields, 'unlimited', where),
    name: scalar(fields, 'name', where),
    replaces: list(fields, 'replaces', where).map((item) => scalar(map(item, 'replaces', where), 'name', where)),
  }
}

type Fields = Readonly<Record<string, unknown>>

function map(value: unknown, kind: keyof typeof KEYS, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${where}: config error, ${kind} is no map: ${JSON.stringify(value)}`)
  }
  const known: readonly string[] = KEYS[kind]
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new Error(`${where}: config error, unknown key '${unknown}'`)
  return value as Fields
}

function list(fields: Fields, name: string, where: string): readonly unknown[] {
  const value = fields[name] ?? ''
  if (value === '') return []
  if (!Array.isArray(value)) throw new Error(`${where}: config error, ${name} is no list: ${JSON.stringify(value)}`)
  return value
}

function scalar(fields: Fields, name: string, where: string): string {
  const value = fields[name] ?? ''
  if (typeof value !== 'string') throw new Error(`${where}: config error, ${name} is no text: ${JSON.stringify(value)}`)
  return value
}

function flag(fields: Fields, name: string, where: string): boolean {
  const text = scalar(fields, name, where)
  if (/^(true|yes|on)$/i.test(text)) return true
  if (text === '' || /^(false|no|off)$/i.test(text)) return false
  throw new Error(`${where}: config error, ${name} is neither true nor false: '${text}'`)
}

function uint32(fields: Fields, name: string, where: string): number {
  const text = scalar(fields, name, where)
  const value = text === '' ? 0 : /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value <= UINT32_MAX) return value
  throw new Error(`${where}: config error, ${name} is no whole number up to ${UINT32_MAX}: '${text}'`)
}
