import type { Service, Workload } from '@ambient-lab/xds'

/**
 * Which of a pod's addresses to use: the one that was dialled if it is its own, else one of the family that the
 * service prescribes, else one of the dialled family, else any.
 */
export function addressOf(workload: Workload, service: Service | undefined, dialled: string): string | undefined {
  const { addresses } = workload
  if (addresses.length < 2) return addresses[0]
  if (addresses.includes(dialled)) return dialled
  const prefersV6 =
    service?.ipFamilies === 'IPV6_ONLY' || (service?.ipFamilies !== 'IPV4_ONLY' && dialled.includes(':'))
  return addresses.find((address) => address.includes(':') === prefersV6) ?? addresses[0]
}
