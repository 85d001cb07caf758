import { defineCatalog } from '@ambient-lab/std'
import catalog from '../workloads/_catalog.ts'
import type { WorkloadDefinition } from './workload.ts'

const DEFINITIONS: ReadonlyMap<string, WorkloadDefinition> = defineCatalog<WorkloadDefinition>(
  catalog,
  ({ name }) => name,
)

/** `docker.io/curlimages/curl:8.16.0@sha256:…` → `docker.io/curlimages/curl`. A port of a registry is no tag. */
export function imageRepository(image: string): string {
  return image.replace(/@sha256:[0-9a-f]+$/, '').replace(/:[^/:]*$/, '')
}

/** The tag of an image, empty where there is none. */
export function imageTag(image: string): string {
  return /:([^/:@]+)(@|$)/.exec(image)?.[1] ?? ''
}

/** Which of our apps stands in for an image, if any does. */
export function findWorkload(image: string): WorkloadDefinition | undefined {
  const repository = imageRepository(image)
  for (const definition of DEFINITIONS.values()) {
    if (definition.images.some((pattern) => matches(pattern, repository))) return definition
  }
  return undefined
}

/** Every image pattern that the lab knows, sorted: what an error about an unknown image lists. */
export function knownImages(): string[] {
  return [...DEFINITIONS.values()].flatMap(({ images }) => images).sort()
}

function matches(pattern: string, repository: string): boolean {
  const tail = repository.split('/').slice(-pattern.split('/').length).join('/')
  return pattern.endsWith('*') ? tail.startsWith(pattern.slice(0, -1)) : tail === pattern
}
