import type { CorpusCase } from '../judge.ts'

/** One scenario: what is applied on top of the world, and calls under it that stand for themselves. */
export interface IntegrationCase extends CorpusCase {
  /** Files. */
  readonly manifests: readonly string[]
  readonly labels?: readonly LabelChange[]
  readonly cases: readonly Call[]
}

export interface LabelChange {
  readonly kind: 'Service' | 'Pod'
  readonly namespace: string
  readonly name: string
  readonly set: Readonly<Record<string, string>>
}

export interface Call {
  /** Its path in the upstream test; a pod's address in it says which pod calls. */
  readonly subtest: string
  /** `namespace/service`, or `ingress`. */
  readonly from: string
  /** `namespace/service`. */
  readonly to?: string
  /** Of a pod of the world; the port is then the pod's. */
  readonly address?: string
  readonly port: { readonly servicePort: number; readonly workloadPort?: number; readonly protocol?: string }
  readonly scheme?: 'http' | 'tcp'
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly expected: Expected
}

export interface Expected {
  readonly status?: number
  readonly succeeds?: boolean
  /** Refused in any of the ways in which ztunnels and waypoints refuse. */
  readonly allowed?: false
  /** Text: a connection error or status 503. */
  readonly fails?: string
  /** Whether the backend sees an X-Request-Id. */
  readonly processedAtL7?: boolean
  /** An empty value: the header must not be there. */
  readonly requestHeadersAtBackend?: Readonly<Record<string, string>>
  readonly backendVersion?: string
  /** Pod. */
  readonly answeredBy?: string
}
