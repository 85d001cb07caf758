import type { MatchField } from './field-kind.ts'
import type { RulePart } from './http-authorization.ts'

/** Fields that an AuthorizationPolicy calls otherwise, by the part of a rule that they stand in. */
const NAMES: Readonly<Record<RulePart, Readonly<Partial<Record<MatchField, string>>>>> = {
  from: {
    sourceIps: 'ipBlocks',
    notSourceIps: 'notIpBlocks',
    remoteIps: 'remoteIpBlocks',
    notRemoteIps: 'notRemoteIpBlocks',
  },
  to: { destinationPorts: 'ports', notDestinationPorts: 'notPorts' },
  when: {
    sourceIps: 'source.ip',
    remoteIps: 'remote.ip',
    namespaces: 'source.namespace',
    principals: 'source.principal',
    serviceAccounts: 'source.serviceAccount',
    trustDomains: 'source.trustDomain',
    destinationIps: 'destination.ip',
    destinationPorts: 'destination.port',
    serverNames: 'connection.sni',
    requestPrincipals: 'request.auth.principal',
    headers: 'request.headers',
    claims: 'request.auth.claims',
    metadata: 'experimental',
  },
}

/** How the author of a policy wrote a field; of a condition its key, and `not` before it where it lists exceptions. */
export function writtenName(field: MatchField, part: RulePart | undefined): string {
  if (part === undefined) return field
  const name = NAMES[part][field]
  if (name !== undefined || part !== 'when' || !field.startsWith('not')) return name ?? field
  const positive = `${field[3]!.toLowerCase()}${field.slice(4)}` as MatchField
  return `not ${NAMES.when[positive] ?? positive}`
}

/** The part of a rule that a field of an L4 policy was written in: such a policy does not say, and each has one. */
export function partAtL4(field: MatchField): RulePart {
  if (field === 'destinationPorts' || field === 'notDestinationPorts') return 'to'
  return field === 'destinationIps' || field === 'notDestinationIps' ? 'when' : 'from'
}
