import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeFolder } from './make-folder.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'make-folder-'))
  writeFileSync(join(home, 'file'), '')
})
afterEach(() => rmSync(home, { recursive: true }))

test.each(['', 'a', 'a/b/c'])('makes "%s", once and again', (path) => {
  for (let time = 0; time < 2; time += 1) makeFolder(join(home, path))
  expect(statSync(join(home, path)).isDirectory()).toBe(true)
})

test('lets nobody else in', () => {
  makeFolder(join(home, 'a/b'))
  for (const path of ['a', 'a/b']) expect(statSync(join(home, path)).mode & 0o777).toBe(0o700)
})

test.each([
  ['file', 'EEXIST'],
  ['file/a', 'ENOTDIR'],
])('fails at %s', (path, code) => {
  expect(() => makeFolder(join(home, path))).toThrow(expect.objectContaining({ code }))
})

test.runIf(process.platform === 'linux')(
  'fails where the system has room for no folder, instead of trying for ever',
  () => {
    expect(() => makeFolder('/proc/nowhere/labs')).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  },
)
