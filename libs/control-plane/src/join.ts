import { createHash, randomBytes } from 'node:crypto'
import { type JoinToken, timestamp } from '@ambient-lab/api'
import { parseCsr } from '@ambient-lab/pki'
import { CodedError } from '@ambient-lab/std'
import type { CreateHandler, PlainHandler, PlainReply } from './api-server/index.ts'
import type { CaService } from './ca-service.ts'
import type { Cluster } from './cluster.ts'
import type { MeshConfig } from './mesh-config.ts'
import { JOIN_TOKENS, NODES } from './stored-kinds.ts'
import { compatible } from './version.ts'

const TOKEN_PREFIX = 'al1.'
const SECRET_BYTES = 24
const TTL_SECONDS_DEFAULT = 3600
/** Used and expired tokens are remembered so long, so that their refusal can say which of both it is. */
const REMEMBERED_MS = 24 * 3_600_000

export interface JoinServiceComponents {
  readonly cluster: Cluster
  readonly ca: CaService
  readonly mesh: MeshConfig
  /** Where the API listens; known once it does. */
  readonly apiUrl: () => string
}

/** What an agent sends to join. */
export interface JoinRequest {
  readonly secret: string
  readonly node: string
  readonly csrPem: string
  readonly version: string
}

/** What it gets. */
export interface JoinReply {
  /** Leaf, then the intermediate. */
  readonly certificatePem: string
  readonly rootsPem: string
  readonly clusterId: string
  readonly trustDomain: string
}

interface StoredStatus {
  readonly secretHash: string
  readonly expiresAt: string
  readonly usedAt?: string
}

/** Lets nodes in: one token, one node, one time. */
export class JoinService {
  readonly #components: JoinServiceComponents
  readonly #version: string

  constructor(components: JoinServiceComponents, init: { readonly version: string }) {
    this.#components = components
    this.#version = init.version
  }

  /** Answers a create of a JoinToken with the token, which is told this once; the store gets the hash of its secret. */
  readonly createToken: CreateHandler = async ({ object, dryRun }) => {
    const token = object as JoinToken
    const { node = '', ttlSeconds = TTL_SECONDS_DEFAULT } = token.spec ?? {}
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    const { cluster, ca, apiUrl } = this.#components
    const expiresAt = timestamp(cluster.clock.now() + ttlSeconds * 1000)
    if (!dryRun) {
      await this.#forgetOld()
      const status: StoredStatus = { secretHash: hashOf(secret), expiresAt }
      // Several tokens may be given for one node, also under one name: the hash tells them apart.
      const name = `${token.metadata.name}-${status.secretHash.slice(0, 12)}`
      await cluster.store.write(JOIN_TOKENS, name, () => ({
        ...token,
        metadata: { ...token.metadata, name },
        status,
      }))
    }
    const content = { u: apiUrl(), ca: ca.authority.rootFingerprint, s: secret, n: node }
    const text = TOKEN_PREFIX + Buffer.from(JSON.stringify(content)).toString('base64url')
    return { ...token, status: { token: text, expiresAt } }
  }

  /** GET /cacerts: the roots, for an agent that checks them against the hash in its token. */
  readonly caCertificates: PlainHandler = async () => ({
    status: 200,
    body: this.#components.ca.authority.rootsPem.join(''),
    contentType: 'application/x-pem-file',
  })

  /** POST /join */
  readonly joinRoute: PlainHandler = async ({ body }) => {
    try {
      return { status: 200, body: JSON.stringify(await this.join(parseRequest(body))) }
    } catch (error) {
      if (CodedError.is(error)) return refusal(error)
      throw error
    }
  }

  /** @throws CodedError VERSION_MISMATCH, TOKEN_UNKNOWN, TOKEN_USED, TOKEN_EXPIRED, CSR_REFUSED */
  async join({ secret, node, csrPem, version }: JoinRequest): Promise<JoinReply> {
    const { cluster, ca, mesh } = this.#components
    if (!compatible(version, this.#version)) {
      throw new CodedError('VERSION_MISMATCH', `this agent is version ${version}, the control plane ${this.#version}`)
    }
    const csr = parseCsr(csrPem) // before the token is spent
    await this.#spend(secret, node)
    await cluster.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: node }, spec: {} })
    const { chainPem, rootsPem } = ca.authority.signNode(csr, node)
    return {
      certificatePem: chainPem.join(''),
      rootsPem: rootsPem.join(''),
      clusterId: mesh.clusterId,
      trustDomain: mesh.trustDomain,
    }
  }

  async #spend(secret: string, node: string): Promise<void> {
    const { cluster } = this.#components
    const secretHash = hashOf(secret)
    const token = cluster.list(JOIN_TOKENS).find(({ status }) => statusOf(status).secretHash === secretHash)
    if (!token || token.spec?.node !== node) {
      throw new CodedError('TOKEN_UNKNOWN', `there is no join token like this for node ${node}`)
    }
    // Checked within the write, so that of two agents with one token one is refused.
    await cluster.update(JOIN_TOKENS, token.metadata.name, (current) => {
      const status = statusOf(current.status)
      if (status.usedAt)
        throw new CodedError('TOKEN_USED', `the join token of node ${node} was used at ${status.usedAt}`)
      if (Date.parse(status.expiresAt) <= cluster.clock.now()) {
        throw new CodedError('TOKEN_EXPIRED', `the join token of node ${node} expired at ${status.expiresAt}`)
      }
      return { ...current, status: { ...status, usedAt: cluster.now() } as JoinToken['status'] & {} }
    })
  }

  async #forgetOld(): Promise<void> {
    const { cluster } = this.#components
    const old = cluster.list(JOIN_TOKENS).filter(({ status }) => {
      return Date.parse(statusOf(status).expiresAt) < cluster.clock.now() - REMEMBERED_MS
    })
    await Promise.all(old.map(({ metadata }) => cluster.remove(JOIN_TOKENS, metadata.name)))
  }
}

function statusOf(status: unknown): StoredStatus {
  return status as StoredStatus
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

function parseRequest(body: string): JoinRequest {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (cause) {
    throw new CodedError('BAD_REQUEST', 'the body is not JSON', { cause })
  }
  const fields = ['secret', 'node', 'csrPem', 'version'] as const
  const given = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const bad = fields.find((field) => typeof given[field] !== 'string')
  if (bad) throw new CodedError('BAD_REQUEST', `${bad} is missing or not a string`)
  return given as unknown as JoinRequest
}

const STATUS_CODES: Readonly<Record<string, number>> = {
  TOKEN_UNKNOWN: 401,
  TOKEN_USED: 401,
  TOKEN_EXPIRED: 401,
  VERSION_MISMATCH: 426,
  STORE_WRITE_FAILED: 503,
}

function refusal({ code, message }: CodedError): PlainReply {
  return { status: STATUS_CODES[code] ?? 400, body: JSON.stringify({ code, message }) }
}
