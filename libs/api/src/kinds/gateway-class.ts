import { conditionCell } from '../cells.ts'
import type { Condition } from '../condition.ts'
import { CONTROLLER_NAME, type NamespacedObjectReference, OBJECT_REF } from '../gateway-api.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { object, STATUS, string } from '../schema.ts'

export interface GatewayClassSpec {
  /** `istio.io/mesh-controller` for waypoints. */
  readonly controllerName: string
  readonly description?: string
  readonly parametersRef?: NamespacedObjectReference
}

export type GatewayClass = Resource<GatewayClassSpec, { readonly conditions?: readonly Condition[] }>

export default defineKind<GatewayClass>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1beta1'],
  kind: 'GatewayClass',
  plural: 'gatewayclasses',
  shortNames: ['gc'],
  categories: ['gateway-api'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object(
        {
          controllerName: CONTROLLER_NAME,
          description: string({ maxLength: 64 }),
          parametersRef: OBJECT_REF,
        },
        { required: ['controllerName'] },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'CONTROLLER', value: ({ spec }) => spec?.controllerName ?? '' },
    { title: 'ACCEPTED', value: (gatewayClass) => conditionCell(gatewayClass, 'Accepted') },
    { title: 'DESCRIPTION', wide: true, value: ({ spec }) => spec?.description ?? '' },
  ],
})
