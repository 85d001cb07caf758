import { posix } from 'node:path'
import { type ConfigMap, type Container, objectKey, type Volume } from '@ambient-lab/api'
import type { AssignedFile } from '@ambient-lab/xds'
import type { StoreEvent } from '../store/store.ts'
import { CONFIG_MAPS, PODS, type StoredKinds } from '../stored-kinds.ts'
import type { Touched } from './translation.ts'
import type { TranslationView } from './view.ts'

type Pod = StoredKinds[typeof PODS]
type View = Pick<TranslationView, 'get'>

/** The files that a container finds in its volumes, as far as these are ConfigMaps. */
export function mountedFiles(container: Container, pod: Pod, view: View): AssignedFile[] {
  return (container.volumeMounts ?? []).flatMap(({ name, mountPath, subPath }) => {
    const volume = pod.spec?.volumes?.find((one) => one.name === name)
    const files = volume ? filesOf(volume, pod, view) : []
    if (!subPath) return files.map(({ path, base64 }) => ({ path: posix.join('/', mountPath, path), base64 }))
    const file = files.find(({ path }) => path === posix.normalize(subPath))
    return file ? [{ path: posix.join('/', mountPath), base64: file.base64 }] : []
  })
}

export interface MissingVolume {
  readonly volume: string
  /** In Kubernetes' words. */
  readonly problem: string
}

/** Volumes without which the pod does not start: their ConfigMap, or a key of it, is not there. */
export function missingVolumes(pod: Pod, view: View): MissingVolume[] {
  return (pod.spec?.volumes ?? []).flatMap(({ name: volume, configMap }) => {
    if (!configMap || configMap.optional) return []
    const entries = entriesOf(configMapOf(pod, configMap.name, view))
    if (!entries) return [{ volume, problem: `configmap "${configMap.name ?? ''}" not found` }]
    const missing = configMap.items?.find(({ key }) => !entries.has(key))
    return missing ? [{ volume, problem: `configmap references non-existent config key: ${missing.key}` }] : []
  })
}

/** Pods that mount the ConfigMap that changed. */
export function mountersOf({ object }: StoreEvent, view: TranslationView): Touched {
  const { name, namespace } = object.metadata
  const pods = view
    .list(PODS, namespace)
    .filter(({ spec }) => spec?.volumes?.some(({ configMap }) => configMap?.name === name))
  return { keys: pods.map(({ metadata }) => objectKey(metadata)) }
}

/** Paths within the volume. */
function filesOf({ configMap }: Volume, pod: Pod, view: View): AssignedFile[] {
  const entries = entriesOf(configMap && configMapOf(pod, configMap.name, view))
  if (!configMap || !entries) return []
  const items = configMap.items ?? Array.from(entries.keys(), (key) => ({ key, path: key }))
  return items.flatMap(({ key, path }) => {
    const base64 = entries.get(key)
    return base64 === undefined ? [] : [{ path: posix.normalize(path), base64 }]
  })
}

function configMapOf({ metadata }: Pod, name: string | undefined, view: View): ConfigMap | undefined {
  return name === undefined ? undefined : view.get(CONFIG_MAPS, `${metadata.namespace}/${name}`)
}

/** Base64, by key. */
function entriesOf(configMap: ConfigMap | undefined): ReadonlyMap<string, string> | undefined {
  if (!configMap) return undefined
  const texts = Object.entries(configMap.data ?? {}).map(([key, text]) => [key, base64Of(text)] as const)
  return new Map([...texts, ...Object.entries(configMap.binaryData ?? {})])
}

function base64Of(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}
