import type { Resource } from '@ambient-lab/api'
import {
  CONFIG_MAPS,
  type GatewayServices,
  MESH_CONFIG_DEFAULT,
  NAMESPACES,
  SECRETS,
  SERVICE_ENTRIES,
  SERVICES,
  TranslationView,
} from '@ambient-lab/control-plane'
import { ObjectList, type TypedObject } from '../object-list.ts'
import { typedObject } from './manifests.ts'

const CLUSTER_DOMAIN = 'domain.suffix'
const SERVICE_HOST = /^([^.]+)\.([^.]+)\.svc\.domain\.suffix$/

/** What the pods of the upstream test listen on. */
const TARGET_PORTS: Readonly<Record<number, number>> = { 80: 8080 }

/** A service that the upstream test has beside the input. */
export interface ExistingService {
  readonly hostname: string
  readonly namespace: string
  readonly externalAddresses?: readonly string[]
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: string }[]
}

export interface KeyPair {
  readonly certificatePem: string
  readonly keyPem: string
}

/** Names that the upstream test leaves out of its Secrets and ConfigMaps, or fills with nonsense. */
const ABSENT = /^(nonexistent|does-not-exist)$/
const MALFORMED = 'malformed'

/** The input with what the upstream test has beside it. */
export function viewOfInput(
  input: readonly Resource[],
  services: readonly ExistingService[],
  keyPair: KeyPair,
): TranslationView {
  const objects: TypedObject[] = [
    ...input.flatMap((object) => {
      const typed = typedObject(object)
      return typed ? [typed] : []
    }),
    ...services.map(serviceObject),
    ...namespacesOf(input).map(namespaceObject),
    ...referencedNames(input, 'certificateRefs', 'clientCertificateRef').map((key) => secretObject(key, keyPair)),
    ...referencedNames(input, 'caCertificateRefs').map((key) => configMapObject(key, keyPair)),
  ]
  return new TranslationView(new ObjectList(objects), { ...MESH_CONFIG_DEFAULT, clusterDomain: CLUSTER_DOMAIN })
}

/** Every one has instances. */
export function gatewayServices(services: readonly ExistingService[]): GatewayServices {
  return (hostname) => {
    const found = services.find((service) => service.hostname === hostname)
    return (
      found && {
        ports: found.ports.map(({ port }) => ({ port, targetPort: TARGET_PORTS[port] ?? port })),
        externalAddresses: found.externalAddresses ?? [],
        hasEndpoints: true,
      }
    )
  }
}

/** A Service where the host name is one, else a ServiceEntry. */
function serviceObject({ hostname, namespace, ports }: ExistingService): TypedObject {
  const [, name] = SERVICE_HOST.exec(hostname) ?? []
  if (name !== undefined) {
    const spec = { ports: ports.map((port) => ({ name: port.name, port: port.port })) }
    return [SERVICES, { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec }]
  }
  const spec = {
    hosts: [hostname],
    ports: ports.map((port) => ({ number: port.port, name: port.name, protocol: port.protocol })),
  }
  const metadata = { name: hostname.replaceAll('.', '-'), namespace }
  return [SERVICE_ENTRIES, { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec }]
}

function namespacesOf(input: readonly Resource[]): string[] {
  return [...new Set(input.flatMap(({ metadata }) => metadata.namespace ?? []))]
}

/** With the labels that the selectors of the tables ask for. */
function namespaceObject(name: string): TypedObject {
  const labels = { 'kubernetes.io/metadata.name': name, 'istio.io/test-name-part': name.split('-')[0]! }
  return [NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }]
}

/** `namespace/name` of what fields of that name refer to, wherever they are. */
function referencedNames(input: readonly Resource[], ...fields: readonly string[]): string[] {
  const found = new Set<string>()
  const visit = (value: unknown, home: string): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [field, inner] of Object.entries(value)) {
      if (fields.includes(field)) {
        for (const { name, namespace } of [inner].flat() as { name: string; namespace?: string }[]) {
          if (!ABSENT.test(name)) found.add(`${namespace ?? home}/${name}`)
        }
      } else visit(inner, home)
    }
  }
  for (const { metadata, spec } of input) visit(spec, metadata.namespace ?? '')
  return [...found]
}

function secretObject(key: string, { certificatePem, keyPem }: KeyPair): TypedObject {
  const [namespace = '', name = ''] = key.split('/')
  const text = (value: string) => Buffer.from(name === MALFORMED ? 'nonsense' : value).toString('base64')
  const data = { 'tls.crt': text(certificatePem), 'tls.key': text(keyPem) }
  return [SECRETS, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, data }]
}

function configMapObject(key: string, { certificatePem }: KeyPair): TypedObject {
  const [namespace = '', name = ''] = key.split('/')
  const data = { 'ca.crt': name === MALFORMED ? 'nonsense' : certificatePem }
  return [CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data }]
}
