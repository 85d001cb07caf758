/** A key that is no plain word is written in brackets: `metadata.labels[istio.io/rev]`. */
export function childPath(path: string, name: string): string {
  if (!/^[A-Za-z_][\w-]*$/.test(name)) return `${path}[${name}]`
  return path === '' ? name : `${path}.${name}`
}

/** `spec.ports[0].name` → `['spec', 'ports', '0', 'name']`; the inverse of what the validator writes. */
export function splitPath(path: string): readonly string[] {
  return [...path.matchAll(/\[([^\]]*)\]|[^.[\]]+/g)].map(([whole, bracketed]) => bracketed ?? whole)
}
