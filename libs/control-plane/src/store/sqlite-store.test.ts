import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { systemClock } from '@ambient-lab/std'
import { afterEach, describe, expect, it } from 'vitest'
import { SqliteStore, type SqliteStoreInit } from './sqlite-store.ts'
import { PODS, pod, put, storeConformance } from './store.conformance.ts'

const folders: string[] = []

function newPath(): string {
  folders.push(mkdtempSync(join(tmpdir(), 'ambient-store-')))
  return join(folders.at(-1)!, 'control-plane', 'store.sqlite')
}

function open(path: string, init: Partial<SqliteStoreInit> = {}): SqliteStore {
  return new SqliteStore({ init: { path, ...init }, components: { clock: systemClock } })
}

function openingError(path: string): unknown {
  try {
    open(path)
  } catch (error) {
    return error
  }
  return undefined
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

storeConformance('sqlite', async (options) => {
  const path = newPath()
  const store = open(path, options)
  const reopen = async () => {
    await store[Symbol.asyncDispose]()
    return open(path, options)
  }
  return { store, reopen }
})

describe('the file of a sqlite store', () => {
  it('is readable by its owner only', async () => {
    const path = newPath()
    await using store = open(path)
    await put(store, PODS, pod('a'))
    expect([path, `${path}-wal`].map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600])
  })

  it('is refused to a second opener, who is told the pid', async () => {
    const path = newPath()
    await using store = open(path)
    expect(openingError(path)).toMatchObject({
      code: 'STORE_IN_USE',
      message: expect.stringContaining(`in use by process ${process.pid}`),
      next: `stop it first: kill ${process.pid}`,
    })
    await put(store, PODS, pod('still-works'))
  })

  it('that is none is damaged, with the way out', () => {
    const path = newPath()
    const flat = join(folders.at(-1)!, 'store.sqlite')
    writeFileSync(flat, 'not a database at all '.repeat(400))
    expect(openingError(flat)).toMatchObject({ code: 'STORE_CORRUPT', next: expect.stringContaining(`mv ${flat}`) })
    expect(openingError(path)).toBeUndefined()
  })

  it('with a damaged row is damaged, and is let go of', async () => {
    const path = newPath()
    const store = open(path)
    await put(store, PODS, pod('a'))
    await store[Symbol.asyncDispose]()
    const database = new DatabaseSync(path)
    database.exec(`UPDATE object SET json = '{"half'`)
    database.close()
    expect(openingError(path)).toMatchObject({ code: 'STORE_CORRUPT' })
    expect(openingError(path)).toMatchObject({ code: 'STORE_CORRUPT' })
  })

  it('of a newer version is refused', async () => {
    const path = newPath()
    await open(path)[Symbol.asyncDispose]()
    const database = new DatabaseSync(path)
    database.exec('PRAGMA user_version = 99')
    database.close()
    expect(openingError(path)).toMatchObject({ code: 'STORE_VERSION' })
  })

  it('in a folder that cannot be is refused', () => {
    newPath()
    const file = join(folders.at(-1)!, 'file')
    writeFileSync(file, '')
    expect(openingError(join(file, 'store.sqlite'))).toMatchObject({ code: 'STORE_OPEN_FAILED' })
  })
})

describe('a sqlite store on a full disk', () => {
  it('refuses the whole batch, applies none of it, and goes on when there is space', async () => {
    const path = newPath()
    const store = open(path, { sizeBytesMax: 64 * 1024 })
    await put(store, PODS, pod('small'))
    const events: number[] = []
    store.watch({ after: 1 }, ({ revision }) => events.push(revision))
    const ballast = 'x'.repeat(100_000)
    const batch = [put(store, PODS, pod('first')), put(store, PODS, pod('big', 'default', { ballast }))]
    const outcomes = await Promise.allSettled(batch)
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'STORE_WRITE_FAILED' } })
    }
    expect({ revision: store.revision, events, first: store.get(PODS, 'default/first') }).toEqual({
      revision: 1,
      events: [],
      first: undefined,
    })
    expect((await put(store, PODS, pod('next')))?.metadata.resourceVersion).toBe('2')
    await store[Symbol.asyncDispose]()
    await using again = open(path)
    expect(again.list(PODS).map(({ metadata }) => metadata.name)).toEqual(['next', 'small'])
  })
})

/** Writes without end, several at a time, and prints each number once its promise has resolved. */
const WRITER = `
  const { SqliteStore } = await import(process.argv[1])
  const { systemClock } = await import('@ambient-lab/std')
  const store = new SqliteStore({ init: { path: process.argv[2] }, components: { clock: systemClock } })
  for (let next = 0; ; ) {
    const batch = Array.from({ length: 1 + (next % 7) }, () => next++)
    await Promise.all(batch.map(async (number) => {
      const name = 'p' + String(number).padStart(6, '0')
      await store.write('/pods', name, () => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name } }))
      process.stdout.write(number + '\\n')
    }))
  }
`

describe('a sqlite store whose process is killed', () => {
  it.each([1, 40, 400])('keeps every write that was answered, in order (after %i)', async (answersMin) => {
    const path = newPath()
    const source = new URL('./sqlite-store.ts', import.meta.url).href
    const nodeArguments = ['--conditions=@ambient-lab/source', '--input-type=module', '--eval', WRITER, source, path]
    const child = spawn(process.execPath, nodeArguments, {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const answered: number[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      answered.push(Number(line))
      if (answered.length === answersMin) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    expect(child.signalCode).toBe('SIGKILL')

    await using store = open(path)
    const stored = store.list('/pods')
    const numbers = stored.map(({ metadata }) => Number(metadata.name.slice(1)))
    // No hole: what is there is a beginning of what was asked for, and reaches at least to the last answer.
    expect(numbers).toEqual(Array.from({ length: stored.length }, (_, index) => index))
    expect(stored.length).toBeGreaterThan(Math.max(...answered))
    expect(stored.map(({ metadata }) => Number(metadata.resourceVersion))).toEqual(numbers.map((number) => number + 1))
    expect(store.revision).toBe(stored.length)
  })
})
