import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Resource } from '@ambient-lab/api'
import { type Random, SeededRandom, VirtualClock } from '@ambient-lab/std'
import { temporaryFolder } from '@ambient-lab/testing'
import { expect, it } from 'vitest'
import { SqliteStore } from './sqlite-store.ts'
import { PODS, pod } from './store.conformance.ts'
import type { Store } from './store.ts'

const SEEDS = 4
const BATCHES = 10
const SECTOR_BYTES = 512

/** The two files as a disk has them: the database and its log. */
interface Image {
  readonly database: Buffer
  readonly log: Buffer
}

it(`what a machine leaves that loses its power during a write is a store before or after it (${SEEDS} seeds)`, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) await crashAgainAndAgain(new SeededRandom(seed))
})

async function crashAgainAndAgain(random: Random): Promise<void> {
  await using folder = await temporaryFolder()
  const path = `${folder.path}/live/store.sqlite`
  await using store = open(path)
  for (let batch = 1; batch <= BATCHES; batch += 1) {
    const before = { image: imageOf(path), state: stateOf(store) }
    await writeBatch(store, random)
    const after = { image: imageOf(path), state: stateOf(store) }
    // A checkpoint moves pages under the eyes of SQLite alone; what of it reached the disk is not ours to guess.
    const isWhole = random.integer(4) === 0 || !before.image.database.equals(after.image.database)
    const log = isWhole ? after.image.log : tornBetween(before.image.log, after.image.log, random)
    const found = await recovered(`${folder.path}/${batch}/store.sqlite`, { ...after.image, log })
    expect(isWhole ? [after.state] : [before.state, after.state]).toContainEqual(found)
  }
}

/** Several callers in one turn, hence one transaction; objects of a few bytes and of many pages. */
async function writeBatch(store: Store, random: Random): Promise<void> {
  const writes = Array.from({ length: 1 + random.integer(6) }, () => {
    const name = `p${random.integer(8)}`
    const ballast = 'x'.repeat(random.integer(3) === 0 ? random.integer(60_000) : random.integer(200))
    const isRemoval = random.integer(4) === 0
    return store.write(PODS, `default/${name}`, () => (isRemoval ? undefined : pod(name, 'default', { ballast })))
  })
  await Promise.all(writes)
}

/** Sectors that were being written reach the disk in any order, or not at all. */
function tornBetween(before: Buffer, after: Buffer, random: Random): Buffer {
  const torn = Buffer.from(after)
  for (let at = 0; at < after.length; at += SECTOR_BYTES) {
    const end = Math.min(at + SECTOR_BYTES, after.length)
    const isSame = before.subarray(at, end).equals(after.subarray(at, end))
    if (isSame || random.integer(3) > 0) continue
    torn.fill(0, at, end)
    torn.set(before.subarray(at, end), at)
  }
  return torn
}

/** What a new process finds, which can go on from there. */
async function recovered(path: string, image: Image): Promise<ReturnType<typeof stateOf>> {
  mkdirSync(dirname(path))
  writeFileSync(path, image.database)
  writeFileSync(`${path}-wal`, image.log)
  await using store = open(path)
  const found = stateOf(store)
  const added = await store.write(PODS, 'default/next', () => pod('next'))
  expect(Number(added?.metadata.resourceVersion)).toBe(found.revision + 1)
  return found
}

function open(path: string): SqliteStore {
  return new SqliteStore({ init: { path }, components: { clock: new VirtualClock() } })
}

function imageOf(path: string): Image {
  return { database: readFileSync(path), log: readFileSync(`${path}-wal`) }
}

function stateOf(store: Store): { readonly revision: number; readonly objects: readonly Resource[] } {
  return { revision: store.revision, objects: store.list(PODS) }
}
