import type { CorpusCase } from '../judge.ts'

/** One call, and what becomes of it. */
export interface Call {
  readonly subtest?: string
  /** `namespace/service`, or `ingress`: plaintext HTTP through a gateway. */
  readonly from: string
  /** `namespace/service`; of an ingress call the routes say. */
  readonly to?: string
  readonly port: { readonly protocol: string; readonly servicePort?: number; readonly workloadPort?: number }
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly expected: ExpectedCall
}

export interface ExpectedCall {
  readonly allowed?: boolean
  readonly status?: number
  readonly statusNot?: number
  readonly grpcStatus?: number
  readonly connectionClosed?: boolean
  /** Empty: the header is not there. */
  readonly requestHeadersAtBackend?: Readonly<Record<string, string>>
}

export interface SecurityCase extends CorpusCase {
  readonly manifests?: readonly string[]
  readonly cases?: readonly Call[]
  /** Of path normalization. */
  readonly normalization?: string
  readonly path?: string
  readonly expected?: { readonly pathAtBackend?: string; readonly status?: number }
}

/** `world.json`. */
export interface World {
  readonly workloads: readonly WorldWorkload[]
}

export interface WorldWorkload {
  readonly service: string
  readonly namespace: string
  readonly principal: string
  readonly podIP: string
  readonly labels: Readonly<Record<string, string>>
}
