import { defineKind } from '../kind.ts'
import { array, object, STATUS, TARGET_REF, WORKLOAD_SELECTOR } from '../schema.ts'

export default defineKind({
  group: 'security.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1'],
  kind: 'RequestAuthentication',
  plural: 'requestauthentications',
  shortNames: ['ra'],
  categories: ['istio-io', 'security-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: object({ selector: WORKLOAD_SELECTOR, targetRefs: array(TARGET_REF, { maxItems: 16 }) }, { open: true }),
    status: STATUS,
  }),
  columns: [],
})
