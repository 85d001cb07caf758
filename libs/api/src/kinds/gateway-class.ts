import { conditionCell, textCell } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { object, STATUS, string } from '../schema.ts'

export default defineKind({
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
        { controllerName: string({ minLength: 1, maxLength: 253 }), description: string() },
        { required: ['controllerName'], open: true },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'CONTROLLER', value: ({ spec }) => textCell(spec, 'controllerName') },
    { title: 'ACCEPTED', value: (gatewayClass) => conditionCell(gatewayClass, 'Accepted') },
    { title: 'DESCRIPTION', wide: true, value: ({ spec }) => textCell(spec, 'description') },
  ],
})
