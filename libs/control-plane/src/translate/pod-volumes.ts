import type { ConfigMap, ConfigMapSource, Container, PodSpec, Volume } from '@ambient-lab/api'
import { objectKey } from '@ambient-lab/api'
import type { AssignedFile, AssignedMount, AssignedVolume } from '@ambient-lab/xds'
import type { StoreEvent } from '../store/store.ts'
import { PODS } from '../stored-kinds.ts'
import type { Touched } from './translation.ts'
import type { TranslationView } from './view.ts'

type Find = (name: string) => ConfigMap | undefined

/** What a pod's volumes of ConfigMaps hold, by name; undefined when it has none. */
export function podVolumes(
  spec: Pick<PodSpec, 'volumes'>,
  find: Find,
): Readonly<Record<string, AssignedVolume>> | undefined {
  const volumes = (spec.volumes ?? []).flatMap((volume): [string, AssignedVolume][] => {
    const sources = sourcesOf(volume)
    return sources ? [[volume.name, assignedVolume(volume.name, sources, find)]] : []
  })
  return volumes.length > 0 ? Object.fromEntries(volumes) : undefined
}

export function containerMounts({ volumeMounts = [] }: Pick<Container, 'volumeMounts'>): AssignedMount[] {
  return volumeMounts.map(({ name, mountPath, subPath }) => ({ volume: name, mountPath, ...(subPath && { subPath }) }))
}

/** Pods that mount the ConfigMap that changed. */
export function usersOfMountedConfigMap({ object }: StoreEvent, view: TranslationView): Touched {
  const { name, namespace } = object.metadata
  const users = view
    .list(PODS, namespace)
    .filter(({ spec }) => spec?.volumes?.some((volume) => sourcesOf(volume)?.some((source) => source.name === name)))
  return { keys: users.map(({ metadata }) => objectKey(metadata)) }
}

/** Undefined for a volume of another kind; of a projected one its other sources are passed over. */
function sourcesOf({ configMap, projected }: Volume): readonly ConfigMapSource[] | undefined {
  if (configMap) return [configMap]
  const sources = projected?.sources?.flatMap((source) => source.configMap ?? []) ?? []
  return sources.length > 0 ? sources : undefined
}

/** Where two sources have a file of one path, the last one counts. */
function assignedVolume(volume: string, sources: readonly ConfigMapSource[], find: Find): AssignedVolume {
  const files = new Map<string, AssignedFile>()
  let problem: string | undefined
  for (const source of sources) {
    const found = filesOf(source, find(source.name))
    if (typeof found === 'string') problem ??= found
    else for (const file of found) files.set(file.path, file)
  }
  return {
    files: [...files.values()],
    ...(problem !== undefined && { missing: `MountVolume.SetUp failed for volume "${volume}" : ${problem}` }),
  }
}

/** The files of one source, or why it cannot be mounted. */
function filesOf(
  { name, items, optional = false }: ConfigMapSource,
  map: ConfigMap | undefined,
): AssignedFile[] | string {
  if (!map) return optional ? [] : `configmap "${name}" not found`
  const keys = Object.keys({ ...map.data, ...map.binaryData })
  const files: AssignedFile[] = []
  for (const { key, path } of items ?? keys.map((key) => ({ key, path: key }))) {
    if (!isBelow(path)) return `configmap "${name}": ${JSON.stringify(path)} is no path below the mount`
    const text = map.data?.[key]
    const bytes = map.binaryData?.[key]
    if (text !== undefined) files.push({ path, content: text, encoding: 'utf8' })
    else if (bytes !== undefined) files.push({ path, content: bytes, encoding: 'base64' })
    else if (!optional) return `configmap references non-existent config key: ${key}`
  }
  return files
}

/** A relative path that leaves its folder nowhere. */
function isBelow(path: string): boolean {
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}
