import type { ConfigMap, Volume } from '@ambient-lab/api'
import { expect, test } from 'vitest'
import { podVolumes } from './pod-volumes.ts'

const MAP: ConfigMap = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c' },
  data: { 'a.yaml': 'x: 1\n', b: '' },
  binaryData: { 'c.bin': 'AP8=' },
}
const find = (name: string) => (name === 'c' ? MAP : undefined)
const A = { path: 'a.yaml', content: 'x: 1\n', encoding: 'utf8' }
const B = { path: 'b', content: '', encoding: 'utf8' }
const C = { path: 'c.bin', content: 'AP8=', encoding: 'base64' }
const failed = (why: string) => ({ files: [], missing: `MountVolume.SetUp failed for volume "v" : ${why}` })

test.each<[title: string, source: Omit<Volume, 'name'>, expected: unknown]>([
  ['every key', { configMap: { name: 'c' } }, { files: [A, B, C] }],
  [
    'some keys elsewhere',
    { configMap: { name: 'c', items: [{ key: 'a.yaml', path: 'x/y.yaml' }] } },
    { files: [{ ...A, path: 'x/y.yaml' }] },
  ],
  ['no such ConfigMap', { configMap: { name: 'd' } }, failed('configmap "d" not found')],
  ['none, which is fine', { configMap: { name: 'd', optional: true } }, { files: [] }],
  [
    'no such key',
    { configMap: { name: 'c', items: [{ key: 'z', path: 'z' }] } },
    failed('configmap references non-existent config key: z'),
  ],
  [
    'no key, which is fine',
    { configMap: { name: 'c', items: [{ key: 'z', path: 'z' }], optional: true } },
    { files: [] },
  ],
  ...['../a', '/a', 'a//b', 'a/..', '', '.'].map((path): [string, Omit<Volume, 'name'>, unknown] => [
    `the path ${JSON.stringify(path)}`,
    { configMap: { name: 'c', items: [{ key: 'b', path }] } },
    failed(`configmap "c": ${JSON.stringify(path)} is no path below the mount`),
  ]),
  [
    'several sources, others passed over, the last one counting',
    {
      projected: {
        sources: [
          { configMap: { name: 'c', items: [{ key: 'b', path: 'a.yaml' }] } },
          {},
          { configMap: { name: 'c', items: [{ key: 'a.yaml', path: 'a.yaml' }] } },
        ],
      },
    },
    { files: [A] },
  ],
])('a volume of %s', (_, source, expected) => {
  expect(podVolumes({ volumes: [{ name: 'v', ...source }] }, find)).toEqual({ v: expected })
})

test.each<[string, Volume[] | undefined]>([
  ['no volumes', undefined],
  [
    'volumes of other kinds',
    [
      { name: 'v', emptyDir: {} },
      { name: 'w', projected: { sources: [{}] } },
    ],
  ],
])('%s are none', (_, volumes) => {
  expect(podVolumes({ ...(volumes && { volumes }) }, find)).toBeUndefined()
})
