import { type AuthorizationPolicy, type Gateway, objectKey, type RequestAuthentication } from '@ambient-lab/api'
import type { HttpAuthorization } from '@ambient-lab/policy'
import type { ExtAuthz, HttpConnectionManager, TcpProxy } from '@ambient-lab/xds'
import { AUTHORIZATION_POLICIES, GATEWAYS, REQUEST_AUTHENTICATIONS } from '../stored-kinds.ts'
import { translateHttpAuthorization, translateTcpAuthorization } from '../translate/http-authorization.ts'
import { translateJwtRequirement } from '../translate/jwt-requirement.ts'
import type { TargetId } from '../translate/target-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { extAuthzOf } from './ext-authz.ts'
import type { WaypointRef } from './service-chain.ts'

/** The policies that hold at one place of one proxy. */
export interface ChainSecurity {
  readonly authorization: readonly AuthorizationPolicy[]
  readonly authentication: readonly RequestAuthentication[]
}

/**
 * At a waypoint: policies that name it, its class, or what the traffic is for. Those with a selector, or without any
 * target, are ztunnel's.
 * @param target `Service ns/name`; undefined: of traffic to workloads themselves
 */
export function securityOf(
  { namespace, name }: WaypointRef,
  target: TargetId | undefined,
  view: TranslationView,
): ChainSecurity {
  const ids = targetsAt({ namespace, name }, target, view)
  return {
    authorization: distinct(
      ids.flatMap((id) => view.targets.targeting<AuthorizationPolicy>(AUTHORIZATION_POLICIES, id)),
    ),
    authentication: distinct(
      ids.flatMap((id) => view.targets.targeting<RequestAuthentication>(REQUEST_AUTHENTICATIONS, id)),
    ),
  }
}

/** What policies may name to hold for traffic at a proxy, the widest first. */
export function targetsAt(
  { namespace, name }: WaypointRef,
  target: TargetId | undefined,
  view: TranslationView,
): readonly TargetId[] {
  const key = `${namespace}/${name}`
  const className = view.get(GATEWAYS, key)?.spec?.gatewayClassName ?? ''
  return [`GatewayClass ${className}`, `Gateway ${key}`, ...(target === undefined ? [] : [target])]
}

/** At an ingress gateway: also those that hold for its pods as for any others. */
export function gatewaySecurity(gateway: Gateway, view: TranslationView): ChainSecurity {
  const { namespace = '', name } = gateway.metadata
  const targeted = securityOf({ namespace, name }, undefined, view)
  const [replica] = view.routes.replicasOf(objectKey(gateway.metadata))
  const selecting = workloadSecurity(namespace, replica?.metadata.labels ?? {}, view)
  return {
    authorization: [...selecting.authorization, ...targeted.authorization],
    authentication: [...selecting.authentication, ...targeted.authentication],
  }
}

/** Policies without a target that hold for workloads with these labels: in full, where HTTP is read at their side. */
export function workloadSecurity(
  namespace: string,
  labels: Readonly<Record<string, string>>,
  view: TranslationView,
): ChainSecurity {
  return {
    authorization: view.targets.selecting<AuthorizationPolicy>(AUTHORIZATION_POLICIES, namespace, labels),
    authentication: view.targets.selecting<RequestAuthentication>(REQUEST_AUTHENTICATIONS, namespace, labels),
  }
}

type HttpSecurity = Pick<HttpConnectionManager, 'jwt' | 'authorization' | 'extAuthz'>

/** Nothing at all where no policy holds. */
export function httpSecurity({ authorization, authentication }: ChainSecurity, view: TranslationView): HttpSecurity {
  const jwt = translateJwtRequirement(authentication)
  const policies = authorization.flatMap((policy) => translateHttpAuthorization(policy, view.mesh).authorization ?? [])
  return { ...(jwt && { jwt }), ...authorizationFields(policies, view) }
}

export function tcpSecurity(
  { authorization }: ChainSecurity,
  view: TranslationView,
): Pick<TcpProxy, 'authorization' | 'extAuthz'> {
  const policies = authorization.flatMap((policy) => translateTcpAuthorization(policy, view.mesh).authorization ?? [])
  return authorizationFields(policies, view)
}

function authorizationFields(
  policies: readonly HttpAuthorization[],
  view: TranslationView,
): Pick<TcpProxy, 'authorization' | 'extAuthz'> {
  const usable = policies.flatMap(({ provider }) => (provider && !provider.problem ? provider.name : []))
  const extAuthz = [...new Set(usable)].flatMap((name): ExtAuthz[] => extAuthzOf(name, view))
  return { ...(policies.length > 0 && { authorization: policies }), ...(extAuthz.length > 0 && { extAuthz }) }
}

/** A policy that names several of them holds once. */
function distinct<T>(policies: readonly T[]): T[] {
  return [...new Set(policies)]
}
