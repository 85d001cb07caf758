import type { Resource } from '@ambient-lab/api'

/** Whether `exportTo` lets a namespace see an object: everybody unless it says otherwise; `.` is its own namespace. */
export function isExportedTo(
  { metadata, spec }: Resource<{ readonly exportTo?: readonly string[] }>,
  namespace: string,
): boolean {
  const exportTo = spec?.exportTo ?? []
  if (exportTo.length === 0) return true
  return exportTo.some((to) => to === '*' || to === namespace || (to === '.' && metadata.namespace === namespace))
}
