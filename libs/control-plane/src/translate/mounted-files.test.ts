import type { ConfigMap, Pod, Volume, VolumeMount } from '@ambient-lab/api'
import { describe, expect, it, test } from 'vitest'
import type { StoreEvent } from '../store/store.ts'
import { CONFIG_MAPS, PODS } from '../stored-kinds.ts'
import { missingVolumes, mountedFiles, mountersOf } from './mounted-files.ts'
import podAssignment from './pod-assignment.ts'
import { viewOf } from './view.conformance.ts'

const CONFIG: ConfigMap = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'config', namespace: 'default' },
  data: { 'a.yaml': 'ä', b: '' },
  binaryData: { 'c.tgz': 'H4sI' },
}
const VOLUME: Volume = { name: 'v', configMap: { name: 'config' } }

function podOf(volumes: readonly Volume[], volumeMounts: readonly VolumeMount[] = [], phase = 'Pending'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default' },
    spec: { nodeName: 'n', volumes, containers: [{ name: 'c', image: 'i', volumeMounts }] },
    status: { podIP: '10.244.1.1', phase },
  } as Pod
}

function viewWith(...configMaps: ConfigMap[]) {
  return viewOf(configMaps.map((configMap) => [CONFIG_MAPS, configMap]))
}

test.each<[title: string, volume: Volume, mount: Partial<VolumeMount>, files: Record<string, string>]>([
  ['every key of a ConfigMap', VOLUME, {}, { '/etc/x/a.yaml': 'ä', '/etc/x/b': '', '/etc/x/c.tgz': '\x1f\x8b\b' }],
  [
    'some keys, under other names',
    { name: 'v', configMap: { name: 'config', items: [{ key: 'a.yaml', path: 'sub/./z.yaml' }] } },
    {},
    { '/etc/x/sub/z.yaml': 'ä' },
  ],
  ['one file', VOLUME, { mountPath: '/etc/a.yaml', subPath: 'a.yaml' }, { '/etc/a.yaml': 'ä' }],
  ['no such file', VOLUME, { subPath: 'd' }, {}],
  ['a path with a slash at its end', VOLUME, { mountPath: '/etc/x/' }, { '/etc/x/b': '' }],
  ['another volume', VOLUME, { name: 'w' }, {}],
  ['another ConfigMap', { name: 'v', configMap: { name: 'other' } }, {}, {}],
  ['another kind of volume', { name: 'v', emptyDir: {} }, {}, {}],
])('a container finds %s', (_title, volume, mount, files) => {
  const pod = podOf([volume], [{ name: 'v', mountPath: '/etc/x', ...mount }])
  const found = mountedFiles(pod.spec!.containers[0]!, pod, viewWith(CONFIG))
  const texts = found.map(({ path, base64 }) => [path, Buffer.from(base64, 'base64')] as const)
  const readable = texts.map(([path, bytes]) => [
    path,
    path.endsWith('tgz') ? bytes.toString('latin1') : bytes.toString(),
  ])
  expect(Object.fromEntries(readable)).toMatchObject(files)
  if (Object.keys(files).length === 0) expect(found).toEqual([])
})

describe('a pod', () => {
  const translated = (pod: Pod, ...configMaps: ConfigMap[]) => podAssignment.translate(pod, viewWith(...configMaps))

  test.each<[title: string, volume: Volume, phase: string, starts: boolean]>([
    ['whose ConfigMap is there starts', VOLUME, 'Pending', true],
    ['whose ConfigMap is missing waits', { name: 'v', configMap: { name: 'other' } }, 'Pending', false],
    ['whose ConfigMap went keeps running', { name: 'v', configMap: { name: 'other' } }, 'Running', true],
    ['that can do without starts', { name: 'v', configMap: { name: 'other', optional: true } }, 'Pending', true],
    [
      'whose ConfigMap lacks a key waits',
      { name: 'v', configMap: { name: 'config', items: [{ key: 'd', path: 'd' }] } },
      'Pending',
      false,
    ],
    ['with other volumes starts', { name: 'v', secret: { secretName: 's' } }, 'Pending', true],
  ])('%s', (_title, volume, phase, starts) => {
    expect(translated(podOf([volume], [], phase), CONFIG)).toHaveLength(starts ? 1 : 0)
  })

  it('is told what it waits for in the words of a kubelet', () => {
    const items = [{ key: 'd', path: 'd' }]
    const volumes = [
      VOLUME,
      { name: 'w', configMap: { name: 'other' } },
      { name: 'x', configMap: { name: 'config', items } },
      { name: 'y', configMap: { name: 'other', optional: true } },
    ]
    expect(missingVolumes(podOf(volumes), viewWith(CONFIG))).toEqual([
      { volume: 'w', problem: 'configmap "other" not found' },
      { volume: 'x', problem: 'configmap references non-existent config key: d' },
    ])
  })

  it('is told its files, and nothing where it has none', () => {
    const [assignment] = translated(podOf([VOLUME], [{ name: 'v', mountPath: '/x', subPath: 'b' }]), CONFIG)
    expect(assignment!.resource.containers).toMatchObject([{ files: [{ path: '/x', base64: '' }] }])
    expect(translated(podOf([VOLUME]), CONFIG)[0]!.resource.containers[0]).not.toHaveProperty('files')
  })

  it('is translated again when a ConfigMap that it mounts changes', () => {
    const view = viewOf([
      [PODS, podOf([VOLUME])],
      [PODS, { ...podOf([]), metadata: { name: 'q', namespace: 'default' } }],
    ])
    const touched = (configMap: ConfigMap) =>
      mountersOf({ type: CONFIG_MAPS, operation: 'modified', object: configMap } as unknown as StoreEvent, view)
    expect(touched(CONFIG)).toEqual({ keys: ['default/p'] })
    expect(touched({ ...CONFIG, metadata: { ...CONFIG.metadata, name: 'other' } })).toEqual({ keys: [] })
  })
})
