import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { CodedError, errorCode, errorMessage } from '@ambient-lab/std'

/** What makes this process a node of its lab. */
export interface NodeCredentials {
  /** URL of the control plane's API. */
  readonly api: string
  readonly node: string
  /** PKCS #8. */
  readonly keyPem: string
  /** Leaf and intermediate. */
  readonly certificatePem: string
  readonly rootsPem: string
}

/** Written last: where it is, the others are whole. */
const MARKER = 'join.json'

/** Stores credentials so that a crash leaves either all or none; only this user can read them. */
export function storeCredentials(folder: string, credentials: NodeCredentials): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  rmSync(join(folder, MARKER), { force: true })
  writeWhole(folder, 'node.key', credentials.keyPem)
  writeWhole(folder, 'node.pem', credentials.certificatePem)
  writeWhole(folder, 'roots.pem', credentials.rootsPem)
  writeWhole(folder, MARKER, `${JSON.stringify({ api: credentials.api, node: credentials.node }, null, 2)}\n`)
}

/**
 * The credentials of an earlier join; undefined when there was none.
 * @throws CodedError STATE_UNREADABLE when the folder is damaged, STATE_OF_OTHER_NODE when it is somebody else's
 */
export function loadCredentials(folder: string, node: string): NodeCredentials | undefined {
  const marker = readOptional(join(folder, MARKER))
  if (marker === undefined) return undefined
  let credentials: NodeCredentials
  try {
    const { api, node: owner } = JSON.parse(marker)
    if (typeof api !== 'string' || typeof owner !== 'string') throw new Error(`${MARKER} lacks a field`)
    credentials = {
      api,
      node: owner,
      keyPem: readFileSync(join(folder, 'node.key'), 'utf8'),
      certificatePem: readFileSync(join(folder, 'node.pem'), 'utf8'),
      rootsPem: readFileSync(join(folder, 'roots.pem'), 'utf8'),
    }
  } catch (cause) {
    throw new CodedError('STATE_UNREADABLE', `${folder}: ${errorMessage(cause)}`, {
      cause,
      next: `remove ${folder} and join again with a new token`,
    })
  }
  if (credentials.node === node) return credentials
  throw new CodedError('STATE_OF_OTHER_NODE', `${folder} belongs to node ${credentials.node}, not to ${node}`, {
    next: 'give each node a state folder of its own',
  })
}

function writeWhole(folder: string, name: string, text: string): void {
  const path = join(folder, name)
  const file = openSync(`${path}.new`, 'w', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(`${path}.new`, path)
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw new CodedError('STATE_UNREADABLE', `${path}: ${errorMessage(error)}`, { cause: error })
  }
}
