import type { CertificateReport, SidecarPod } from '@ambient-lab/dataplane'
import type { SpiffeId } from '@ambient-lab/pki'
import type {
  EdgeCounters,
  ReplayAnswer,
  ReplayQuery,
  RequestsAnswer,
  RequestsQuery,
  ReviewAnswer,
  ReviewQuery,
  TypeUrl,
} from '@ambient-lab/xds'
import type { HostPort } from './container.ts'

/** What one thread is to be. */
export interface ProxySpec {
  readonly uid: string
  /** Resource name of its L7Proxy. */
  readonly proxy: string
  readonly node: string
  readonly identity: SpiffeId
  readonly labels: Readonly<Record<string, string>>
  /** Where its listeners listen. */
  readonly host: string
  /** Where its admin listeners listen: loopback. */
  readonly adminHost: string
  readonly certificateTtlSeconds: number
  readonly drainDeadlineMs: number
  /** Of a sidecar: the pod at whose side it is. */
  readonly pod?: Omit<SidecarPod, 'targetOf'>
}

/** Where the ports of a sidecar's pod really listen. */
export type PodTargets = Readonly<Record<string, HostPort>>

/** A part of the control plane's news, as the agent heard it. */
export interface ProxyPush {
  readonly typeUrl: TypeUrl
  readonly upserts: readonly { readonly name: string; readonly resource: unknown }[]
  readonly removed: readonly string[]
}

/** What a proxy can be asked. */
export interface ProxyQuestions {
  log: { query: { readonly linesMax: number }; answer: readonly string[] }
  review: { query: ReviewQuery; answer: ReviewAnswer }
  replay: { query: ReplayQuery; answer: ReplayAnswer }
  requests: { query: RequestsQuery; answer: RequestsAnswer }
  /** Of a sidecar: who talked to whom through it, since its thread began. */
  edges: { query: undefined; answer: readonly EdgeCounters[] }
}

export type ProxyQuestion = {
  [K in keyof ProxyQuestions]: { readonly about: K; readonly query: ProxyQuestions[K]['query'] }
}[keyof ProxyQuestions]

/** Main thread → proxy. */
export type ProxyCommand =
  | { readonly type: 'start'; readonly spec: ProxySpec; readonly state: readonly ProxyPush[] }
  | { readonly type: 'push'; readonly push: ProxyPush }
  /** Of a sidecar: all of them, whenever they are others. */
  | { readonly type: 'targets'; readonly targets: PodTargets }
  | {
      readonly type: 'signed'
      readonly id: number
      readonly chainPem: readonly string[]
      readonly rootsPem: readonly string[]
    }
  | { readonly type: 'not-signed'; readonly id: number; readonly code: string; readonly message: string }
  /** Whoever signs can be reached again. */
  | { readonly type: 'signer-back' }
  | { readonly type: 'ask'; readonly id: number; readonly question: ProxyQuestion }
  /** Drain, and end. */
  | { readonly type: 'stop' }

/** Proxy → main thread. */
export type ProxyNews =
  /** It serves; again whenever its ports are others. */
  | { readonly type: 'started'; readonly ports: Readonly<Record<string, HostPort>> }
  /** Of its own certificate; again whenever it changes. */
  | { readonly type: 'certificate'; readonly report: CertificateReport }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'refused'; readonly name: string; readonly reason: string }
  /** The key stays in the thread that made it; only the request leaves. */
  | { readonly type: 'sign'; readonly id: number; readonly csrPem: string; readonly ttlSeconds: number }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'no-answer'; readonly id: number; readonly code: string; readonly message: string }
  | { readonly type: 'stopped' }
