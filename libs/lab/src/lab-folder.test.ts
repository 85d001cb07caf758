import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kernelStartTime } from '@ambient-lab/std'
import { type TemporaryFolder, temporaryFolder } from '@ambient-lab/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { chooseLab, LabFolder, labsHome, listLabFolders } from './lab-folder.ts'

let home: TemporaryFolder

beforeEach(async () => {
  home = await temporaryFolder()
})
afterEach(() => home[Symbol.asyncDispose]())

/** A lab on disk; running when a live process's record is in it, here this test's own. */
function lab(name: string, init: { running?: boolean; from?: string } = {}): LabFolder {
  const folder = new LabFolder(home.path, name)
  folder.create()
  if (init.from) folder.writeOrigin({ folder: init.from, file: join(init.from, 'lab.yaml') })
  const startTime = init.running ? kernelStartTime(process.pid) : '1'
  const record = { role: 'supervisor', name: 'main', pid: process.pid, startTime, startedAt: '', ports: {} }
  writeFileSync(join(folder.processes, 'supervisor-main.json'), JSON.stringify(record))
  return folder
}

test.each([
  [{ AMBIENT_HOME: '/a', XDG_STATE_HOME: '/b' }, '/a'],
  [{ XDG_STATE_HOME: '/b' }, '/b/ambient'],
])('labs live in %j', (env, expected) => {
  expect(labsHome(env)).toBe(expected)
})

test.each(['', '..', 'a/b', 'Upper', '-a', 'a-', 'a'.repeat(64)])('%j is no name for a lab', (name) => {
  expect(() => new LabFolder(home.path, name)).toThrow(expect.objectContaining({ code: 'LAB_NAME_INVALID' }))
})

test('a long path moves the socket to a short one, the same each time', () => {
  const folder = new LabFolder(join(home.path, 'x'.repeat(120)), 'demo')
  expect(folder.socket.length).toBeLessThan(100)
  expect(new LabFolder(folder.home, 'demo').socket).toBe(folder.socket)
  expect(new LabFolder(folder.home, 'other').socket).not.toBe(folder.socket)
  expect(new LabFolder('/h', 'demo').socket).toBe('/h/labs/demo/supervisor.sock')
})

describe('which lab is meant', () => {
  const choose = (init: { name?: string; cwd?: string } = {}) =>
    chooseLab({ home: home.path, cwd: init.cwd ?? '/nowhere', ...(init.name ? { name: init.name } : {}) }).name

  test('none', () => {
    expect(() => choose()).toThrow(expect.objectContaining({ code: 'LAB_NOT_RUNNING', next: 'ambient up demo' }))
  })

  test('the only one that runs, however many are on disk', () => {
    lab('old')
    lab('live', { running: true })
    expect(choose()).toBe('live')
  })

  test('the only one on disk where none runs, so that it can be looked at and removed', () => {
    lab('old')
    expect(choose()).toBe('old')
  })

  test('of several, the one that was brought up from here or above', () => {
    lab('a', { running: true, from: '/src/a' })
    lab('b', { running: true, from: '/src/b' })
    expect(choose({ cwd: '/src/b/policies' })).toBe('b')
    expect(() => choose({ cwd: '/src/bb' })).toThrow(expect.objectContaining({ code: 'LAB_AMBIGUOUS' }))
  })

  test('the one that is named, and nothing else', () => {
    lab('a', { running: true })
    lab('b')
    expect(choose({ name: 'b' })).toBe('b')
    expect(() => choose({ name: 'c' })).toThrow(expect.objectContaining({ code: 'LAB_NOT_RUNNING' }))
  })
})

test('what is no lab is not listed', () => {
  lab('a')
  mkdirSync(join(home.path, 'labs', 'Not A Lab'))
  writeFileSync(join(home.path, 'labs', 'a.lock'), '')
  expect(listLabFolders(home.path).map(({ name }) => name)).toEqual(['a'])
})

test('a record whose pid belongs to another process by now does not make a lab run', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  const folder = lab('a')
  const record = { role: 'supervisor', name: 'main', pid: child.pid, startTime: '1', startedAt: '', ports: {} }
  writeFileSync(join(folder.processes, 'supervisor-main.json'), JSON.stringify(record))
  expect(folder.running).toBe(false)
  child.kill('SIGKILL')
  await once(child, 'exit')
})
