import { expect, test, vi } from 'vitest'
import { ContainerFiles, mountedFiles } from './container-files.ts'

const file = (path: string, content: string) => ({ path, content, encoding: 'utf8' as const })
const VOLUMES = {
  v: { files: [file('a.yaml', '1'), file('sub/b.yaml', '2'), file('subway', '3')] },
  w: { files: [file('z', '4')] },
}

test.each([
  { mount: { volume: 'v', mountPath: '/m' }, expected: { '/m/a.yaml': '1', '/m/sub/b.yaml': '2', '/m/subway': '3' } },
  { mount: { volume: 'w', mountPath: '/m/' }, expected: { '/m/z': '4' } },
  { mount: { volume: 'w', mountPath: '/' }, expected: { '/z': '4' } },
  { mount: { volume: 'v', mountPath: '/m/x.yaml', subPath: 'a.yaml' }, expected: { '/m/x.yaml': '1' } },
  { mount: { volume: 'v', mountPath: '/m', subPath: 'sub' }, expected: { '/m/b.yaml': '2' } },
  { mount: { volume: 'v', mountPath: '/m', subPath: 'other' }, expected: {} },
  { mount: { volume: 'secret', mountPath: '/m' }, expected: {} },
])('$mount shows $expected', ({ mount, expected }) => {
  const files = mountedFiles({ mounts: [mount] }, VOLUMES)
  expect(Object.fromEntries(files.map(({ path, content }) => [path, content]))).toEqual(expected)
})

test('a mount with a subPath stays as it was at the start', () => {
  const now = { v: { files: [file('a.yaml', 'new')] } }
  const mounts = [
    { volume: 'v', mountPath: '/whole' },
    { volume: 'v', mountPath: '/part.yaml', subPath: 'a.yaml' },
  ]
  expect(mountedFiles({ mounts }, now, VOLUMES)).toEqual([file('/whole/a.yaml', 'new'), file('/part.yaml', '1')])
})

test('files are read by path and by folder, bytes as bytes', () => {
  const bytes = { path: '/d/x/b', content: Buffer.from([0, 255]).toString('base64'), encoding: 'base64' as const }
  const files = new ContainerFiles([file('/d/z', 'z'), bytes, file('/dd', '')])
  expect(files.read('/d/x/b')).toEqual(Buffer.from([0, 255]))
  expect(files.read('/d')).toBeUndefined()
  expect([...files.below('/d').keys()]).toEqual(['x/b', 'z'])
  expect([...files.below('/d/')]).toEqual([...files.below('/d')])
  expect(files.below('/nowhere').size).toBe(0)
})

test('only what differs is a change', () => {
  const files = new ContainerFiles([file('/a', '1')])
  const listener = vi.fn()
  files.onChange(listener)
  files.replace([file('/a', '1')])
  expect(listener).not.toHaveBeenCalled()
  files.replace([file('/a', '2')])
  expect(listener).toHaveBeenCalledOnce()
  expect(String(files.read('/a'))).toBe('2')
})
