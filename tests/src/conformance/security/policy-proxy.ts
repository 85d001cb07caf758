import type { AuthorizationPolicy, RequestAuthentication, Resource } from '@ambient-lab/api'
import {
  type AuthorizationMesh,
  translateHttpAuthorization,
  translateJwtRequirement,
  translateTcpAuthorization,
} from '@ambient-lab/control-plane'
import { type JwkSetLocation, type JwkSetResult, parseJwkSet } from '@ambient-lab/pki'
import {
  type ConnectionFacts,
  type CustomVerdict,
  evaluateCustom,
  evaluateRequest,
  type Facts,
  HttpPolicies,
  JwtAuthenticator,
  RequestFacts,
  type TokenRequest,
} from '@ambient-lab/policy'

/** Whatever enforces policies: a workload's own proxy, or a gateway. */
export interface EnforcementSubject {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  /** Of a Gateway: what a targetRef names. */
  readonly gateway?: string
}

/** A request and the header lines that it has by now. */
export interface HttpCall {
  readonly method: string
  readonly authority: string
  readonly path: string
  readonly remoteIp: string | undefined
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
}

export type HttpOutcome = { readonly status: number } | { readonly passed: HttpCall }

const ROOT_NAMESPACE = 'istio-system'
/** The check server's name, which the manifests were written without. */
export const PROVIDER = 'ext-authz-grpc'

const MESH: AuthorizationMesh = {
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  extensionProviders: [{ name: PROVIDER, envoyExtAuthzGrpc: { service: 'ext-authz.istio-system', port: 9000 } }],
}

/** Seconds: between the tokens that are expired and the ends of the others. */
const NOW = 1_790_000_000

/** The authentication and authorization of one proxy, put together in Istio's order out of the parts that a waypoint has. */
export class PolicyProxy {
  readonly #http: HttpPolicies
  readonly #tcp: HttpPolicies
  readonly #authenticator: JwtAuthenticator | undefined

  constructor(subject: EnforcementSubject, objects: readonly Resource[], jwks: string) {
    const policies = objects.filter((object) => object.kind === 'AuthorizationPolicy' && applies(object, subject))
    const tokens = objects.filter((object) => object.kind === 'RequestAuthentication' && applies(object, subject))
    const all = (translate: typeof translateHttpAuthorization) =>
      new HttpPolicies(policies.flatMap((policy) => translate(policy as AuthorizationPolicy, MESH).authorization ?? []))
    this.#http = all(translateHttpAuthorization)
    this.#tcp = all(translateTcpAuthorization)
    const requirement = translateJwtRequirement(tokens as RequestAuthentication[])
    this.#authenticator = requirement && new JwtAuthenticator(requirement, { keysAt: keysFrom(jwks) })
  }

  /** Whether a connection goes on. */
  connect(connection: ConnectionFacts): boolean {
    const isFromA = connection.principal?.endsWith('/sa/a') ?? false
    return passes(evaluateCustom(connection, this.#tcp), isFromA) && evaluateRequest(connection, this.#tcp).allowed
  }

  async request(connection: ConnectionFacts, call: HttpCall): Promise<HttpOutcome> {
    if (!passes(evaluateCustom(factsOf(connection, call), this.#http), call.headers['x-ext-authz'] === 'allow')) {
      return { status: 403 }
    }
    const verdict = await this.#authenticator?.authenticate(tokenRequest(call), NOW)
    if (verdict && !verdict.accepted) return { status: verdict.status }
    const facts: Facts = factsOf(connection, call, verdict?.payload)
    if (!evaluateRequest(facts, this.#http).allowed) return { status: 403 }
    if (!verdict) return { passed: call }
    const kept = Object.entries(call.headers).filter(([name]) => !verdict.removeHeaders.includes(name))
    return { passed: { ...call, headers: Object.fromEntries([...kept, ...verdict.addHeaders]) } }
  }
}

function passes(custom: CustomVerdict | undefined, isGranted: boolean): boolean {
  return custom === undefined || ('ask' in custom && isGranted)
}

function factsOf(connection: ConnectionFacts, call: HttpCall, jwt?: Readonly<Record<string, unknown>>): RequestFacts {
  return new RequestFacts(connection, { ...tokenRequest(call), jwt })
}

function tokenRequest({ headers, ...call }: HttpCall): TokenRequest {
  return { ...call, scheme: 'http', header: (name) => headers[name] }
}

/** The server of the manifests takes as long as its address says, and a fetch that takes longer than it may fails. */
function keysFrom(jwks: string): (location: JwkSetLocation, timeoutMs: number) => JwkSetResult {
  const keys = parseJwkSet(jwks)
  return (location, timeoutMs) => {
    const delayMs = 'uri' in location ? Number(/[?&]delay=(\d+)ms/.exec(location.uri)?.[1] ?? 0) : 0
    return delayMs > timeoutMs ? 'JwksFetchFail' : keys
  }
}

interface Attached {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> }
  readonly targetRef?: { readonly kind?: string; readonly name?: string }
}

function applies({ metadata, spec }: Resource, { namespace, labels, gateway }: EnforcementSubject): boolean {
  if (metadata.namespace !== namespace && metadata.namespace !== ROOT_NAMESPACE) return false
  const { selector, targetRef } = (spec ?? {}) as Attached
  if (targetRef) return gateway !== undefined && targetRef.kind === 'Gateway' && targetRef.name === gateway
  return Object.entries(selector?.matchLabels ?? {}).every(([name, value]) => labels[name] === value)
}
