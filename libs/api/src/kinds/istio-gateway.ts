import { areUnique } from '../gateway-api.ts'
import { UINT32 } from '../istio-fields.ts'
import { isNamespaceName, isWildcardDomain } from '../istio-names.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, integer, object, STATUS, STRING_MAP, string, withRules } from '../schema.ts'
import { SERVER_TLS, type ServerTlsSettings } from '../server-tls.ts'

export interface IstioGatewayServer {
  readonly name?: string
  readonly port: {
    readonly number: number
    readonly name: string
    /** `HTTP`, `HTTPS`, `HTTP2`, `GRPC`, `TLS`, `TCP`, `MONGO` */
    readonly protocol: string
    readonly targetPort?: number
  }
  /** `[namespace/]host`, either may be `*`. */
  readonly hosts: readonly string[]
  readonly tls?: ServerTlsSettings
  readonly bind?: string
  readonly defaultEndpoint?: string
}

export interface IstioGatewaySpec {
  readonly servers?: readonly IstioGatewayServer[]
  /** Of the pods that serve it. */
  readonly selector?: Readonly<Record<string, string>>
}

export type IstioGateway = Resource<IstioGatewaySpec>

const HOST = withRules<string>(string(), {
  'must be HOST or NAMESPACE/HOST': (text) => {
    const [namespace, host] = text.includes('/') ? text.split('/') : ['*', text]
    const isNamespace = namespace === '*' || namespace === '.' || isNamespaceName(namespace!)
    return isNamespace && isWildcardDomain(host!)
  },
})

const SERVER_RULES: Readonly<Record<string, (server: IstioGatewayServer) => boolean>> = {
  'a port is 1 to 65535, and 0 for a unix socket': ({ port, bind = '' }) =>
    bind.startsWith('unix://') === (port.number === 0),
}

/** Istio's own Gateway, older than the Gateway API's: `gateways.networking.istio.io`. */
export default defineKind<IstioGateway>({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'Gateway',
  plural: 'gateways',
  shortNames: ['gw'],
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: object({
      selector: STRING_MAP,
      servers: withRules<readonly IstioGatewayServer[]>(
        array(
          withRules<IstioGatewayServer>(
            object(
              {
                bind: string(),
                defaultEndpoint: string(),
                hosts: array(HOST, { minItems: 1 }),
                name: string(),
                port: object(
                  {
                    name: string(),
                    number: integer({ minimum: 0, maximum: 65_535 }),
                    protocol: string({ minLength: 1 }),
                    targetPort: UINT32,
                  },
                  { required: ['name', 'number', 'protocol'] },
                ),
                tls: SERVER_TLS,
              },
              { required: ['hosts', 'port'] },
            ),
            SERVER_RULES,
          ),
        ),
        { 'port names in servers must be unique': (servers) => areUnique(servers, ({ port }) => port.name) },
      ),
    }),
    status: STATUS,
  }),
  columns: [],
})
