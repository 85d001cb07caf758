import type { StringMatcher } from '@ambient-lab/xds'

/** `*` is any origin, `https://*.example.com` any below it, all else exact. */
export function wildcardOrigin(origin: string): StringMatcher {
  if (!origin.includes('*')) return { exact: origin }
  return { regex: origin.split('*').map(escapeRegex).join('.*') }
}

/** RE2's special characters. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}
