import { objectKey, type Resource, type Service } from '@ambient-lab/api'
import { type AdmissionHook, invalid } from './api-server/index.ts'
import { needsAddress, type ServiceAddresses, withAddress } from './service-addresses.ts'
import { SERVICES } from './stored-kinds.ts'

/** Gives a Service its virtual address in the very write that creates it, and keeps addresses unique. */
export function serviceAdmission(addresses: ServiceAddresses): AdmissionHook {
  return {
    name: 'service-addresses',
    admit({ type, operation, object, old, subresource }) {
      if (type !== SERVICES || operation === 'delete' || subresource) return undefined
      const service = object as Service
      const key = objectKey(service.metadata)
      const kept = (old as Service | undefined)?.spec?.clusterIP
      if (needsAddress(service)) {
        const address = kept && kept !== 'None' ? kept : addresses.allocate(key)
        return address === undefined ? undefined : { object: withAddress(service, address) }
      }
      refuseTaken(service, addresses.ownerOf(service.spec?.clusterIP ?? ''), key)
      return undefined
    },
  }
}

function refuseTaken(service: Resource, owner: string | undefined, key: string): void {
  if (owner === undefined || owner === key) return
  const { clusterIP } = (service as Service).spec!
  throw invalid({ group: '', kind: 'Service' }, service.metadata.name, [
    {
      path: 'spec.clusterIPs',
      message: `Invalid value: ["${clusterIP}"]: failed to allocate IP ${clusterIP}: provided IP is already allocated`,
    },
  ])
}
