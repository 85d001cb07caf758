import type { ServiceAccountMatch } from './authorization.ts'
import { addressField, type FieldKind, textField } from './field-kind.ts'
import { isRecord } from './values.ts'

export const NO_IDENTITY = 'no identity'

const principals = textField({
  positive: 'principals',
  negative: 'notPrincipals',
  textOf: (facts) => facts.connection.principal,
  none: NO_IDENTITY,
})

const namespaces = textField({
  positive: 'namespaces',
  negative: 'notNamespaces',
  textOf: (facts) => facts.connection.identity?.namespace,
  none: NO_IDENTITY,
})

const serviceAccounts: FieldKind<ServiceAccountMatch> = {
  positive: 'serviceAccounts',
  negative: 'notServiceAccounts',
  isValid: (value): value is ServiceAccountMatch =>
    isRecord(value) && typeof value.namespace === 'string' && typeof value.serviceAccount === 'string',
  // The trust domain is ignored, as ztunnel and Istio's expression for Envoy do.
  compile: (values) => {
    const accounts = new Set(values.map(formatAccount))
    return ({ connection: { account } }) => account !== undefined && accounts.has(account)
  },
  format: formatAccount,
  actual: (facts) => facts.connection.account ?? NO_IDENTITY,
  anchor: (values) => ({
    dimension: { name: 'serviceAccounts', textsOf: (facts) => facts.connection.account },
    keys: values.map((value) => ({ exact: formatAccount(value) })),
  }),
}

function formatAccount({ namespace, serviceAccount }: ServiceAccountMatch): string {
  return `${namespace}/${serviceAccount}`
}

const destinationPorts: FieldKind<number> = {
  positive: 'destinationPorts',
  negative: 'notDestinationPorts',
  isValid: (port): port is number => typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535,
  compile: (values) => {
    const [only] = values
    if (values.length === 1) return (facts) => facts.connection.destinationPort === only
    const ports = new Set(values)
    return (facts) => ports.has(facts.connection.destinationPort)
  },
  format: String,
  actual: (facts) => String(facts.connection.destinationPort),
}

const sourceIps = addressField({
  positive: 'sourceIps',
  negative: 'notSourceIps',
  addressOf: (facts) => facts.connection.source,
  bitsOf: (facts) => facts.connection.sourceBits,
  actual: (facts) => facts.connection.init.sourceIp,
})

const destinationIps = addressField({
  positive: 'destinationIps',
  negative: 'notDestinationIps',
  addressOf: (facts) => facts.connection.destination,
  actual: (facts) => facts.connection.init.destinationIp,
})

/** Fields of an L4 policy. Cheap tests first: ports are a comparison, addresses may have to be parsed. */
export const CONNECTION_FIELDS = [
  destinationPorts,
  namespaces,
  serviceAccounts,
  principals,
  sourceIps,
  destinationIps,
] as readonly FieldKind<unknown>[]
