import type { TypeUrl } from './resources/index.ts'

/** What would have been decided lately if these resources had been in force. Nothing takes effect. */
export interface ReplayQuery {
  readonly changes: readonly ResourceChanges[]
  /** Decisions of the last so many ms. */
  readonly sinceMs: number
}

export interface ResourceChanges {
  readonly typeUrl: TypeUrl
  readonly upserts: readonly { readonly name: string; readonly resource: unknown }[]
  readonly removed: readonly string[]
}

export interface ReplayAnswer {
  /** How many decisions were taken again. */
  readonly decisions: number
  /** Those that would come out otherwise, alike ones together. */
  readonly flips: readonly VerdictFlip[]
  /** Resources that this proxy would refuse. */
  readonly refused: readonly { readonly name: string; readonly reason: string }[]
}

/** What several proxies of one node answered. */
export function joinReplays(answers: readonly ReplayAnswer[]): ReplayAnswer {
  return {
    decisions: answers.reduce((sum, { decisions }) => sum + decisions, 0),
    flips: answers.flatMap(({ flips }) => flips),
    refused: answers.flatMap(({ refused }) => refused),
  }
}

export interface VerdictFlip {
  /** Who decided: `ztunnel n2`. */
  readonly at: string
  /** SPIFFE id of the peer; empty for plaintext. */
  readonly identity: string
  /** `name.namespace` of the workload that was reached. */
  readonly destination: string
  readonly port: number
  /** At a waypoint: method and path. */
  readonly request?: string
  readonly count: number
  readonly lastAtMs: number
  readonly becomes: 'allowed' | 'denied'
  /** The words of the new verdict. */
  readonly reason: string
}
