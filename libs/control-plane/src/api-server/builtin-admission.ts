import type { Resource } from '@ambient-lab/api'
import type { Services } from './api-request.ts'
import type { AdmissionHook, AdmissionRequest } from './hooks.ts'
import { forbidden, notFound, StatusError } from './status-error.ts'

const NAMESPACES = '/namespaces' as const
/** Every namespace carries its own name as a label, so that selectors can mean it. */
const NAME_LABEL = 'kubernetes.io/metadata.name'
/** Kubernetes refuses to delete these too. */
const IMMORTAL_NAMESPACES = new Set(['default', 'kube-system', 'kube-public'])

/** What holds for every lab, whoever composes it: the life of namespaces. */
export function admitBuiltin({ store, kinds }: Pick<Services, 'store' | 'kinds'>): AdmissionHook {
  return {
    name: 'namespace-lifecycle',
    admit: (request) => {
      if (request.type === NAMESPACES) return admitNamespace(request)
      const { namespace } = request.object.metadata
      if (request.operation !== 'create' || namespace === undefined) return undefined
      // A server that serves no namespaces, as in a small test, has none to ask for.
      if (!kinds.find('', 'v1', 'namespaces')) return undefined
      checkNamespace(store.get(NAMESPACES, namespace), namespace, request)
      return undefined
    },
  }
}

function admitNamespace({ operation, object }: AdmissionRequest): { object: Resource } | undefined {
  const { name, labels } = object.metadata
  if (operation === 'delete') {
    if (!IMMORTAL_NAMESPACES.has(name)) return undefined
    throw forbidden({ group: '', resource: 'namespaces' }, name, 'this namespace may not be deleted')
  }
  const metadata = { ...object.metadata, labels: { ...labels, [NAME_LABEL]: name } }
  const status = operation === 'create' ? { phase: 'Active' } : object.status
  return { object: { ...object, metadata, ...(status !== undefined && { status }) } }
}

function checkNamespace(found: Resource | undefined, namespace: string, request: AdmissionRequest): void {
  if (!found) throw notFound({ group: '', resource: 'namespaces' }, namespace)
  if (found.metadata.deletionTimestamp === undefined) return
  const { group, plural } = request.kind
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`
  const { message, details } = forbidden({ group, resource: plural }, request.object.metadata.name, why)
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  }
  throw new StatusError(403, 'Forbidden', message, { ...details, causes: [cause] })
}
