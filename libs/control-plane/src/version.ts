/** Agents and control plane speak to each other when they are of the same major and minor version. */
export function compatible(a: string, b: string): boolean {
  const line = (version: string) => version.split('.').slice(0, 2).join('.')
  return line(a) === line(b)
}
