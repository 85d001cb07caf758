import { type EndpointSlice, SERVICE_NAME_LABEL, type Service } from '@ambient-lab/api'
import { ADDRESS_TYPE, type Workload } from '@ambient-lab/xds'
import { ENDPOINT_SLICES, SERVICES } from '../stored-kinds.ts'
import { gatewayOfNetwork, withNetworks } from './networks.ts'
import { defineTranslation, type Touched } from './translation.ts'
import type { TranslationView } from './view.ts'

/** Endpoints that somebody wrote by hand for a Service without a selector; those that name a pod are the pod's. */
export default defineTranslation({
  name: 'endpoint-slice',
  kind: ENDPOINT_SLICES,
  typeUrl: ADDRESS_TYPE,
  translate(slice, view) {
    return sliceWorkloads(slice, view).map((workload) => ({ name: workload.uid, resource: { workload } }))
  },
  dependencies: withNetworks({
    [SERVICES]({ object, previous }): Touched {
      const hasSelector = (service: Service | undefined) => Object.keys(service?.spec?.selector ?? {}).length > 0
      const always = hasSelector(object as Service) && (!previous || hasSelector(previous as Service))
      return always ? { keys: [] } : { namespace: object.metadata.namespace }
    },
  }),
})

export function sliceWorkloads(slice: EndpointSlice, view: TranslationView): Workload[] {
  const { metadata } = slice
  const { mesh } = view
  const namespace = metadata.namespace ?? ''
  const service = view.selectorlessService(namespace, metadata.labels?.[SERVICE_NAME_LABEL] ?? '')
  if (!service || slice.addressType === 'FQDN') return []
  const services = { [service.key]: slicePorts(slice, service.ports) }
  return slice.endpoints
    .filter(({ targetRef }) => targetRef?.kind !== 'Pod')
    .flatMap(({ addresses, conditions }) =>
      addresses.map((address) => ({
        uid: `${mesh.clusterId}/discovery.k8s.io/EndpointSlice/${namespace}/${metadata.name}/${address}`,
        name: metadata.name,
        namespace,
        addresses: [address],
        hostname: '',
        network: view.networks.own,
        ...gatewayOfNetwork(view.networks.own, view),
        tunnelProtocol: 'NONE' as const,
        trustDomain: mesh.trustDomain,
        serviceAccount: '',
        node: '',
        clusterId: mesh.clusterId,
        canonicalName: '',
        canonicalRevision: '',
        // Nobody knows: istiod leaves the field at its zero value.
        workloadType: 'DEPLOYMENT' as const,
        workloadName: '',
        nativeTunnel: false,
        authorizationPolicies: [],
        status: conditions?.ready === false ? ('UNHEALTHY' as const) : ('HEALTHY' as const),
        services,
        capacity: 1,
        // Its address may be a pod's, or shared with others: it must not answer for the address.
        networkMode: 'HOST_NETWORK' as const,
      })),
    )
}

/** A service's port leads to the slice's port of the same name. */
function slicePorts(slice: EndpointSlice, ports: readonly { readonly servicePort: number; readonly name?: string }[]) {
  return ports.flatMap(({ servicePort, name }) => {
    const port = slice.ports?.find((candidate) => (candidate.name ?? '') === (name ?? ''))
    return port?.port === undefined ? [] : { servicePort, targetPort: port.port }
  })
}
