import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kernelStartTime, systemClock } from '@ambient-lab/std'
import { type TemporaryFolder, temporaryFolder } from '@ambient-lab/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Lock } from './lock.ts'

let folder: TemporaryFolder
let path: string

beforeEach(async () => {
  folder = await temporaryFolder()
  path = join(folder.path, 'labs', 'demo.lock')
})
afterEach(() => folder[Symbol.asyncDispose]())

const acquire = (limitMs = 0, what = 'test') => Lock.acquire(path, { what, limitMs, clock: systemClock })

test('a live owner keeps it, and is named', async () => {
  using _lock = await acquire(0, 'ambient down')
  await expect(acquire()).rejects.toMatchObject({
    code: 'LAB_LOCKED',
    message: expect.stringContaining(`process ${process.pid} (ambient down)`),
  })
  expect(Lock.holder(path)).toMatchObject({ pid: process.pid, what: 'ambient down' })
})

test('who waits gets it when the owner lets go', async () => {
  const first = await acquire()
  const second = acquire(5000)
  first[Symbol.dispose]()
  using _lock = await second
  expect(Lock.holder(path)).toMatchObject({ pid: process.pid })
})

test('a dead owner is taken over from, also when its pid lives again as another process', async () => {
  const child = spawn(process.execPath, ['-e', ''])
  const { pid } = child
  await once(child, 'exit')
  for (const owner of [
    { pid, startTime: '1', what: 'dead', since: '' },
    { pid: process.pid, startTime: `${kernelStartTime(process.pid)}0`, what: 'reused', since: '' },
  ]) {
    mkdirSync(join(folder.path, 'labs'), { recursive: true })
    writeFileSync(path, JSON.stringify(owner))
    const lock = await acquire()
    lock[Symbol.dispose]()
  }
})

test('a file that is no owner, and a takeover that was interrupted, do not block for ever', async () => {
  mkdirSync(`${path}.takeover`, { recursive: true })
  utimesSync(`${path}.takeover`, 1, 1)
  writeFileSync(path, 'half a fi')
  using _lock = await acquire()
  expect(existsSync(`${path}.takeover`)).toBe(false)
})

test('of many that find a stale lock, one holds it at a time', async () => {
  mkdirSync(join(folder.path, 'labs'), { recursive: true })
  writeFileSync(path, JSON.stringify({ pid: 999_999_999, startTime: '1', what: 'dead', since: '' }))
  let holding = 0
  let most = 0
  const once = async () => {
    const lock = await acquire(10_000)
    holding += 1
    most = Math.max(most, holding)
    await new Promise((resolve) => setImmediate(resolve))
    holding -= 1
    lock[Symbol.dispose]()
  }
  await Promise.all(Array.from({ length: 8 }, once))
  expect(most).toBe(1)
  expect(existsSync(path)).toBe(false)
})

test('who lost it does not remove another’s', async () => {
  const lock = await acquire()
  writeFileSync(path, JSON.stringify({ pid: 1, startTime: 'x', what: 'another', since: '' }))
  lock[Symbol.dispose]()
  expect(existsSync(path)).toBe(true)
})
