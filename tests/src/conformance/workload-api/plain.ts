const DEFAULTS: Readonly<Record<string, unknown>> = {
  trustDomain: 'cluster.local',
  serviceAccount: 'default',
  tunnelProtocol: 'NONE',
  workloadType: 'DEPLOYMENT',
  capacity: 1,
  networkMode: 'STANDARD',
  ipFamilies: 'AUTOMATIC',
  visibility: 'PUBLIC',
  appProtocol: 'UNKNOWN',
  healthPolicy: 'ONLY_HEALTHY',
}

/** A record without zero values and without what the reference leaves out as the default; port lists unwrapped. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value ?? null
  const entries = Object.entries(value).flatMap(([key, part]): [string, unknown][] => {
    if (key === 'services') return servicesEntry(part as Record<string, unknown>)
    if (key === 'name' && 'servicePort' in value) return []
    if (key in DEFAULTS && DEFAULTS[key] === part) return []
    const inner = plain(part)
    return isEmpty(inner) ? [] : [[key, inner]]
  })
  return Object.fromEntries(entries)
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === '' || value === 0 || value === false) return true
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** The lab's host names of Services follow from their names; those of the tables are made up. */
function servicesEntry(services: Record<string, unknown>): [string, unknown][] {
  const unwrapped = Object.entries(services).map(([key, ports]) => {
    const list = Array.isArray(ports) ? ports : (ports as { ports: unknown[] }).ports
    return [key.replace(/\/\w+\.\w+\.svc\.domain\.suffix$/, '/hostname'), list]
  })
  return unwrapped.length === 0 ? [] : [['services', Object.fromEntries(unwrapped)]]
}
