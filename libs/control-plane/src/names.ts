import type { PodTemplate } from '@ambient-lab/api'
import type { Random } from '@ambient-lab/std'

/** Kubernetes' alphabet for generated names: no vowels, hence no words, and nothing that looks like something else. */
const SAFE = 'bcdfghjklmnpqrstvwxz2456789'
const SUFFIX_LENGTH = 5
/** A generated name has 63 characters at most, the suffix included. */
const BASE_LENGTH_MAX = 63 - SUFFIX_LENGTH

/** `reviews-v1-6b7f8c9d5-` → `reviews-v1-6b7f8c9d5-x7k2p` */
export function generateName(base: string, random: Random): string {
  const suffix = Array.from({ length: SUFFIX_LENGTH }, () => SAFE[random.integer(SAFE.length)]).join('')
  return `${base.slice(0, BASE_LENGTH_MAX)}${suffix}`
}

/** Of templates that live: every look at a deployment asks again. */
const hashes = new WeakMap<PodTemplate, string>()

/**
 * The hash in a ReplicaSet's name, as Kubernetes writes one: FNV-1a of the template, its decimal digits in the safe
 * alphabet. The template's own JSON is hashed where Kubernetes hashes Go's print of it, so that the values differ.
 */
export function templateHash(template: PodTemplate): string {
  const hash = hashes.get(template) ?? hashOf(template)
  hashes.set(template, hash)
  return hash
}

function hashOf(template: PodTemplate): string {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(JSON.stringify(template, sortedKeys))) hash = Math.imul(hash ^ byte, 0x01000193)
  return [...String(hash >>> 0)].map((digit) => SAFE[digit.charCodeAt(0) % SAFE.length]).join('')
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
