import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { ObjectKey, Resource } from '@ambient-lab/api'
import { readProcessRecords, removeProcessRecord, writeProcessRecord } from '@ambient-lab/std'
import { jsonText } from './json-text.ts'
import { WAL_KEPT_BYTES_MAX } from './limits.ts'
import type { KeyedEvent } from './revisioned-objects.ts'
import { schemaTooNew, storeOpenError, storeUnreadable, storeWriteError } from './sqlite-errors.ts'
import type { Revision, StoreType } from './store.ts'

/** Grows when the tables change; an older file is migrated, a newer one refused. */
const SCHEMA_VERSION = 1

const SCHEMA = `
  CREATE TABLE object (type TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL, UNIQUE (type, key));
  CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
  INSERT INTO state (id, revision) VALUES (1, 0);
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/** Beside the database: who has it open. The lock itself is SQLite's and dies with its process. */
const OWNER = { role: 'store', name: 'owner' } as const

export interface StoredObject {
  readonly type: StoreType
  readonly key: ObjectKey
  readonly object: Resource
}

interface Row {
  readonly type: StoreType
  readonly key: string
  readonly json: string
}

/** The file behind SqliteStore: opening, loading, one transaction per batch of events. */
export class SqliteDatabase {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #upsert: StatementSync
  readonly #delete: StatementSync
  readonly #setRevision: StatementSync

  constructor(init: { path: string; sizeBytesMax: number; openedAtMs: number }) {
    this.#path = init.path
    this.#database = openDatabase(init.path, init.sizeBytesMax)
    try {
      this.#upsert = this.#database.prepare(
        'INSERT INTO object (type, key, json) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET json = excluded.json',
      )
      this.#delete = this.#database.prepare('DELETE FROM object WHERE type = ? AND key = ?')
      this.#setRevision = this.#database.prepare('UPDATE state SET revision = ?')
    } catch (error) {
      this.#database.close()
      throw storeOpenError(error, init.path, undefined)
    }
    const startedAt = new Date(init.openedAtMs).toISOString()
    writeProcessRecord(dirname(init.path), { ...OWNER, startedAt, ports: {} })
  }

  /** @throws CodedError STORE_CORRUPT, with the file let go of */
  load(): { revision: Revision; objects: StoredObject[] } {
    try {
      const state = this.#database.prepare('SELECT revision FROM state').get() as { revision: number }
      const rows = this.#database.prepare('SELECT type, key, json FROM object ORDER BY type, key').iterate()
      const objects: StoredObject[] = []
      for (const { type, key, json } of rows as Iterable<Row>) objects.push({ type, key, object: JSON.parse(json) })
      return { revision: state.revision, objects }
    } catch (error) {
      this.close()
      throw storeUnreadable(error, this.#path)
    }
  }

  /** Makes all of it durable, or none. @throws CodedError STORE_WRITE_FAILED */
  persist(events: readonly KeyedEvent[], revision: Revision): void {
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      for (const { type, key, operation, object } of events) {
        if (operation === 'deleted') this.#delete.run(type, key)
        else this.#upsert.run(type, key, jsonText(object))
      }
      this.#setRevision.run(revision)
      this.#database.exec('COMMIT')
    } catch (error) {
      // SQLite has rolled back by itself after some failures (a full disk among them), not after others.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw storeWriteError(error, this.#path)
    }
  }

  close(): void {
    removeProcessRecord(dirname(this.#path), OWNER)
    this.#database.close()
  }
}

function openDatabase(path: string, sizeBytesMax: number): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    closeSync(openSync(path, 'a', 0o600)) // Secrets are in there; the log beside it takes over the file's mode.
    database = new DatabaseSync(path)
    configure(database, sizeBytesMax)
    return database
  } catch (error) {
    database?.close()
    const owner = readProcessRecords(dirname(path)).find((record) => record.role === OWNER.role)
    throw storeOpenError(error, path, owner?.pid)
  }
}

/** The first read takes the lock and keeps it; the log then needs no shared memory. */
function configure(database: DatabaseSync, sizeBytesMax: number): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE')
  database.exec('PRAGMA journal_mode = WAL')
  // FULL: a promise that resolved survives the machine, not only the process; the shared transaction pays for it.
  database.exec('PRAGMA synchronous = FULL')
  database.exec(`PRAGMA journal_size_limit = ${WAL_KEPT_BYTES_MAX}`)
  const { page_size: pageBytes } = database.prepare('PRAGMA page_size').get() as { page_size: number }
  database.exec(`PRAGMA max_page_count = ${Math.ceil(sizeBytesMax / pageBytes)}`)
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version > SCHEMA_VERSION) throw schemaTooNew(version, SCHEMA_VERSION)
  if (version === 0) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`)
  // A transaction of any kind makes the lock ours now instead of at the first write.
  else database.exec('BEGIN IMMEDIATE; COMMIT')
}
