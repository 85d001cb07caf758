import { readFileSync, statSync } from 'node:fs'
import { parseRevocationLists, type Revocations, type SvidSource } from '@ambient-lab/pki'
import { type CancelTimer, type Clock, errorCode, errorMessage } from '@ambient-lab/std'
import type { Logger } from '@ambient-lab/telemetry'
import { CRL_POLL_MS } from './limits.ts'

interface Components {
  readonly clock: Clock
  readonly svids: SvidSource
  readonly revocations: Revocations
  readonly log: Logger
}

/**
 * Follows the file with the revocation lists of the mesh's authority, as `CRL_PATH` does at a ztunnel. Lists are believed
 * that an authority of our own certificates has signed. A file that cannot be read, or is gone, takes nothing back: the
 * last good lists stay.
 */
export class CrlFile implements Disposable {
  readonly #path: string
  readonly #components: Components
  readonly #stopFollowing: () => void
  #cancelPoll: CancelTimer = () => {}
  #seen = ''

  constructor(path: string, components: Components) {
    this.#path = path
    this.#components = components
    // With a new certificate another authority may have become ours.
    this.#stopFollowing = components.svids.onChange(({ kind }) => {
      if (kind === 'available') this.#read()
    })
    this.#poll()
  }

  [Symbol.dispose](): void {
    this.#stopFollowing()
    this.#cancelPoll()
  }

  #poll(): void {
    const version = this.#version()
    if (version !== this.#seen) {
      this.#seen = version
      this.#read()
    }
    this.#cancelPoll = this.#components.clock.schedule(CRL_POLL_MS, () => this.#poll(), { background: true })
  }

  /** Empty for a file that is not there. */
  #version(): string {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path)
      return `${mtimeMs} ${size} ${ino}`
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') this.#warn(error)
      return ''
    }
  }

  #read(): void {
    const { revocations, log } = this.#components
    const issuers = this.#issuers()
    if (this.#seen === '' || issuers.length === 0) return
    try {
      const lists = parseRevocationLists(readFileSync(this.#path, 'utf8'), issuers)
      revocations.replace(this.#path, lists)
      log.info('revocation lists read', { path: this.#path, lists: lists.length })
    } catch (error) {
      this.#warn(error)
    }
  }

  #issuers() {
    return this.#components.svids
      .states()
      .flatMap(({ state }) =>
        state.phase === 'Available' ? [...state.svid.chain.slice(1), ...state.svid.bundle.roots] : [],
      )
  }

  #warn(error: unknown): void {
    this.#components.log.warn('revocation lists stay as they are', { path: this.#path, error: errorMessage(error) })
  }
}
