/**
 * 32 bits of a text, well mixed (FNV-1a with the finisher of murmur3). Replicas of one proxy agree with each other;
 * they do not agree with Envoy, whose xxHash64 would cost a request more than its choice is worth.
 */
export function hashText(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
