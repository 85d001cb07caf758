import { type Cidr, parseCidr } from '@ambient-lab/policy'
import { assert } from '@ambient-lab/std'

/** Pods, services, ServiceEntries: addresses that exist in the lab only. */
export const LAB_RANGES: readonly string[] = ['10.244.0.0/16', '10.96.0.0/16', '240.240.0.0/16']

export function parseRanges(texts: readonly string[] = LAB_RANGES): readonly Cidr[] {
  return texts.map((text) => {
    const cidr = parseCidr(text)
    assert(cidr, `${text} is no CIDR`)
    return cidr
  })
}
