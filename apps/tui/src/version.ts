/** This program's version; a control plane of another minor version is refused. A constant: it is needed before anything else. */
export const VERSION = '0.1.0'

/** `1.4.2` and `1.4.0` talk to each other, `1.5.0` does not. */
export function sameMinor(a: string, b: string): boolean {
  const minor = (version: string) => version.replace(/^v/, '').split('.').slice(0, 2).join('.')
  return minor(a) === minor(b)
}
