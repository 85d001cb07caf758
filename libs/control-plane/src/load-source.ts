import type { Load } from '@ambient-lab/api'

/** Annotation: uid of the workload that sends, once one was chosen; it stays while that workload is there. */
export const LOAD_SOURCE_ANNOTATION = 'ambient.lab/source'

export function loadSource(load: Load): string | undefined {
  return load.metadata.annotations?.[LOAD_SOURCE_ANNOTATION]
}
