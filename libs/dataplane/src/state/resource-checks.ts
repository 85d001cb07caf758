import { CERTIFICATES_PEM_BYTES_MAX, parseSpiffeId } from '@ambient-lab/pki'
import { type Authorization, canonicalIp } from '@ambient-lab/policy'
import { CodedError } from '@ambient-lab/std'
import type { Address, Node, Service, Trust, Workload } from '@ambient-lab/xds'
import { RESOURCE_LIST_MAX, RESOURCE_TEXT_MAX } from '../limits.ts'

/**
 * What a proxy checks before it believes a resource: every field that the data path reads has its type and is in
 * bounds, and the resource is the one its name says. Addresses come out in their one spelling.
 * @throws CodedError INVALID_RESOURCE; its message is the reason of the NACK
 */
export function checkAddress(name: string, resource: unknown): Address {
  const address = new Fields(resource, '')
  if (address.has('workload')) return { workload: checkWorkload(name, address.object('workload')) }
  return { service: checkService(name, address.object('service')) }
}

/** @throws CodedError INVALID_RESOURCE */
export function checkNode(name: string, resource: unknown): Node {
  const node = new Fields(resource, '')
  node.equals('name', name)
  node.text('podCidr')
  node.oneOf('status', ['HEALTHY', 'UNHEALTHY'])
  for (const listener of ['hbone', 'underlay']) {
    if (!node.has(listener)) continue
    node.object(listener).text('host')
    node.object(listener).port('port')
  }
  return resource as Node
}

/** The shape only; what is in the PEM, its reader judges. @throws CodedError INVALID_RESOURCE */
export function checkTrust(name: string, resource: unknown): Trust {
  const trust = new Fields(resource, '')
  trust.equals('trustDomain', name)
  for (const field of ['rootsPem', 'authoritiesPem']) for (const pem of trust.list(field)) checkPem(pem, field)
  checkPem(trust.value.revocationListsPem, 'revocationListsPem')
  trust.text('signer')
  return resource as Trust
}

function checkPem(value: unknown, field: string): void {
  if (typeof value !== 'string' || value.length > CERTIFICATES_PEM_BYTES_MAX)
    refuse(field, 'is no PEM text, or too long')
}

/** The shape only; what the values mean, the policy's compiler checks. @throws CodedError INVALID_RESOURCE */
export function checkAuthorization(name: string, resource: unknown): Authorization {
  const policy = new Fields(resource, '')
  const key = `${policy.text('namespace')}/${policy.text('name')}`
  if (key !== name) refuse('name', `is ${key}, not ${name}`)
  policy.oneOf('scope', ['GLOBAL', 'NAMESPACE', 'WORKLOAD_SELECTOR'])
  policy.oneOf('action', ['ALLOW', 'DENY'])
  policy.flag('dryRun')
  for (const rule of policy.objects('rules')) {
    for (const clause of rule.objects('clauses')) {
      for (const match of clause.objects('matches')) checkMatch(match)
    }
  }
  return resource as Authorization
}

const TEXT_MATCHES = ['namespaces', 'notNamespaces', 'principals', 'notPrincipals']
const ACCOUNT_MATCHES = ['serviceAccounts', 'notServiceAccounts']
const IP_MATCHES = ['sourceIps', 'notSourceIps', 'destinationIps', 'notDestinationIps']
const PORT_MATCHES = ['destinationPorts', 'notDestinationPorts']

function checkMatch(match: Fields): void {
  for (const field of match.names()) {
    if (TEXT_MATCHES.includes(field)) for (const value of match.objects(field)) checkStringMatch(value)
    else if (ACCOUNT_MATCHES.includes(field)) {
      for (const value of match.objects(field)) {
        value.text('namespace')
        value.text('serviceAccount')
      }
    } else if (IP_MATCHES.includes(field)) match.texts(field)
    else if (PORT_MATCHES.includes(field)) match.list(field)
    // A field of a newer control plane that we would leave out widens an ALLOW: refuse what we do not know.
    else refuse(field, 'is not a field of a match')
  }
}

function checkStringMatch(match: Fields): void {
  const kinds = ['exact', 'prefix', 'suffix'].filter((kind) => match.has(kind))
  if (kinds.length + (match.has('presence') ? 1 : 0) !== 1)
    refuse('match', 'needs one of exact, prefix, suffix, presence')
  for (const kind of kinds) match.text(kind)
}

function checkWorkload(name: string, workload: Fields): Workload {
  workload.equals('uid', name)
  for (const field of [
    'name',
    'namespace',
    'hostname',
    'network',
    'trustDomain',
    'serviceAccount',
    'node',
    'clusterId',
  ]) {
    workload.text(field)
  }
  for (const field of ['canonicalName', 'canonicalRevision', 'workloadName']) workload.text(field)
  workload.oneOf('tunnelProtocol', ['NONE', 'HBONE'])
  workload.oneOf('workloadType', ['DEPLOYMENT', 'CRONJOB', 'POD', 'JOB'])
  workload.oneOf('status', ['HEALTHY', 'UNHEALTHY'])
  workload.oneOf('networkMode', ['STANDARD', 'HOST_NETWORK'])
  workload.texts('authorizationPolicies')
  workload.count('capacity')
  checkWaypoint(workload)
  if (workload.has('networkGateway')) checkGateway(workload.object('networkGateway'))
  if (workload.has('hbone')) {
    workload.object('hbone').text('host')
    workload.object('hbone').port('port')
  }
  if (workload.has('sidecar')) {
    const sidecar = workload.object('sidecar')
    sidecar.flag('plaintext')
    sidecar.list('exceptPorts')
    if (sidecar.has('underlay')) {
      sidecar.object('underlay').text('host')
      sidecar.object('underlay').port('port')
    }
  }
  if (workload.has('applicationTunnel')) workload.object('applicationTunnel').port('port')
  const services = workload.object('services')
  for (const key of services.names()) checkPorts(services, key)
  const addresses = workload.texts('addresses').map((text) => canonicalIp(text) ?? refuse('addresses', `has ${text}`))
  return { ...(workload.value as unknown as Workload), addresses }
}

function checkService(name: string, service: Fields): Service {
  const key = `${service.text('namespace')}/${service.text('hostname')}`
  if (key !== name) refuse('name', `is ${key}, not ${name}`)
  service.text('name')
  for (const name of service.texts('subjectAltNames')) parseSpiffeId(name)
  service.oneOf('ipFamilies', ['AUTOMATIC', 'IPV4_ONLY', 'IPV6_ONLY', 'DUAL'])
  service.oneOf('visibility', ['PUBLIC', 'NAMESPACE'])
  service.flag('canonical')
  if (service.has('scope')) service.oneOf('scope', ['LOCAL', 'GLOBAL'])
  checkPorts(service, 'ports')
  checkWaypoint(service)
  if (service.has('loadBalancing')) {
    const balancing = service.object('loadBalancing')
    balancing.texts('routingPreference')
    balancing.oneOf('mode', ['UNSPECIFIED_MODE', 'STRICT', 'FAILOVER', 'PASSTHROUGH'])
    balancing.oneOf('healthPolicy', ['ONLY_HEALTHY', 'ALLOW_ALL'])
  }
  if (service.has('weightedWaypoints')) {
    for (const weighted of service.objects('weightedWaypoints')) {
      weighted.count('weight')
      checkGateway(weighted.object('destination'))
    }
  }
  if (service.has('l4Traffic')) checkL4Traffic(service.object('l4Traffic'))
  const addresses = service.objects('addresses').map((address) => {
    const text = address.text('address')
    address.text('network')
    if (address.has('length')) address.count('length', 128)
    const canonical = canonicalIp(text) ?? refuse('addresses', `has ${text}`)
    return { ...(address.value as unknown as Service['addresses'][number]), address: canonical }
  })
  return { ...(service.value as unknown as Service), addresses }
}

const L4_COUNTS = ['connectionsMax', 'connectTimeoutMs', 'connectRetries', 'idleTimeoutMs', 'durationMaxMs']

function checkL4Traffic(traffic: Fields): void {
  traffic.text('policy')
  for (const field of L4_COUNTS) if (traffic.has(field)) traffic.count(field)
  for (const field of ['localRate', 'globalRate']) {
    if (!traffic.has(field)) continue
    traffic.object(field).positive('connections')
    traffic.object(field).positive('perMs')
  }
  if (!traffic.has('outlier')) return
  const outlier = traffic.object('outlier')
  outlier.positive('consecutiveFailures')
  outlier.positive('baseEjectionMs')
  outlier.count('ejectionPercentMax', 100)
}

function checkPorts(owner: Fields, field: string): void {
  for (const mapping of owner.objects(field)) {
    mapping.port('servicePort')
    mapping.count('targetPort', 65_535)
  }
}

function checkWaypoint(owner: Fields): void {
  if (owner.has('waypoint')) checkGateway(owner.object('waypoint'))
}

function checkGateway(gateway: Fields): void {
  gateway.port('hboneMtlsPort')
  if (gateway.has('hostname')) {
    gateway.object('hostname').text('namespace')
    gateway.object('hostname').text('hostname')
  } else {
    const address = gateway.object('address')
    address.text('network')
    if (canonicalIp(address.text('address')) === undefined) refuse('waypoint', `has address ${address.text('address')}`)
  }
}

/** Typed reading of one object that somebody sent. */
class Fields {
  readonly value: Readonly<Record<string, unknown>>
  readonly #path: string

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      refuse(path || 'resource', 'is not an object')
    this.value = value as Record<string, unknown>
    this.#path = path
  }

  names(): readonly string[] {
    const names = Object.keys(this.value)
    if (names.length > RESOURCE_LIST_MAX) refuse(this.#path || 'resource', `has more than ${RESOURCE_LIST_MAX} fields`)
    return names
  }

  has(field: string): boolean {
    return this.value[field] !== undefined && this.value[field] !== null
  }

  object(field: string): Fields {
    return new Fields(this.value[field], this.#at(field))
  }

  list(field: string): readonly unknown[] {
    const value = this.value[field]
    if (!Array.isArray(value)) refuse(this.#at(field), 'is not a list')
    if (value.length > RESOURCE_LIST_MAX) refuse(this.#at(field), `has more than ${RESOURCE_LIST_MAX} elements`)
    return value
  }

  objects(field: string): Fields[] {
    return this.list(field).map((value, index) => new Fields(value, this.#at(`${field}[${index}]`)))
  }

  texts(field: string): readonly string[] {
    return this.list(field).map((value) => checkText(value, this.#at(field)))
  }

  text(field: string): string {
    return checkText(this.value[field], this.#at(field))
  }

  equals(field: string, expected: string): void {
    if (this.text(field) !== expected) refuse(this.#at(field), `is ${this.text(field)}, not ${expected}`)
  }

  flag(field: string): void {
    if (typeof this.value[field] !== 'boolean') refuse(this.#at(field), 'is not true or false')
  }

  port(field: string): void {
    this.count(field, 65_535)
    if (this.value[field] === 0) refuse(this.#at(field), 'is 0, which is no port')
  }

  /** A whole number from 0. */
  count(field: string, max = 2 ** 31): void {
    const value = this.value[field]
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
      refuse(this.#at(field), `is not a whole number from 0 to ${max}`)
    }
  }

  positive(field: string): void {
    this.count(field)
    if (this.value[field] === 0) refuse(this.#at(field), 'is 0')
  }

  oneOf(field: string, allowed: readonly string[]): void {
    if (!allowed.includes(this.text(field))) refuse(this.#at(field), `is not one of ${allowed.join(', ')}`)
  }

  #at(field: string): string {
    return this.#path ? `${this.#path}.${field}` : field
  }
}

function checkText(value: unknown, path: string): string {
  if (typeof value !== 'string') refuse(path, 'is not a text')
  if (value.length > RESOURCE_TEXT_MAX) refuse(path, `is longer than ${RESOURCE_TEXT_MAX} characters`)
  return value
}

function refuse(path: string, problem: string): never {
  throw new CodedError('INVALID_RESOURCE', `${path} ${problem}`)
}
