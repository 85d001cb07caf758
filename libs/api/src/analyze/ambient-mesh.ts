import { conditionsOf, isConditionTrue } from '../condition.ts'
import { DATAPLANE_MODE, wantsCapture } from '../enrolment.ts'
import gatewayKind, { type Gateway } from '../kinds/gateway.ts'
import namespaceKind from '../kinds/namespace.ts'
import serviceKind, { type Service } from '../kinds/service.ts'
import type { PodSpec } from '../pod-template.ts'
import type { PolicyTargetReference } from '../reference.ts'
import type { Resource } from '../resource.ts'
import { matchesEvery } from '../selector.ts'
import { SIDECAR_STATUS_ANNOTATION, wantsSidecar } from '../sidecar-injection.ts'
import { useWaypoint } from '../waypoint-labels.ts'
import type { AnalysisWorld, Workload } from './analysis-world.ts'

export const WAYPOINT_CLASS = 'istio-waypoint'

/** Whether anything at all is in ambient mode: findings about who is not would be noise without. */
export function hasAmbient(world: AnalysisWorld): boolean {
  return (
    world.list(namespaceKind).some(({ metadata }) => metadata.labels?.[DATAPLANE_MODE] === 'ambient') ||
    world.workloads.some((workload) => isAmbient(world, workload))
  )
}

/** Whether the labels of the workload, or else of its namespace, ask for capture, and nothing stands against it. */
export function isAmbient(world: AnalysisWorld, workload: Workload): boolean {
  return wantsCapture(podOf(workload), world.get(namespaceKind, undefined, workload.namespace))
}

/** What its template makes. */
function podOf({ object, namespace, labels, annotations, spec }: Workload): Resource<PodSpec> {
  const { apiVersion, kind } = object
  const pod = { apiVersion, kind, metadata: { name: object.metadata.name, namespace, labels, annotations } }
  return { ...pod, ...(spec && { spec }) }
}

/** Whether the workload asks for capture by a label of its own or of its namespace, whatever stands against it. */
export function asksForAmbient(world: AnalysisWorld, { namespace, labels }: Workload): boolean {
  return (labels[DATAPLANE_MODE] ?? world.namespaceLabels(namespace)[DATAPLANE_MODE]) === 'ambient'
}

/** Whether there is a sidecar, or one is injected. */
export function hasSidecar(world: AnalysisWorld, workload: Workload): boolean {
  if (workload.annotations[SIDECAR_STATUS_ANNOTATION] !== undefined) return true
  return wantsSidecar(podOf(workload), world.get(namespaceKind, undefined, workload.namespace))
}

/** Whether sidecars are injected into a namespace by its labels. */
export function injects(world: AnalysisWorld, namespace: string): boolean {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: '', namespace } }
  return wantsSidecar(pod, world.get(namespaceKind, undefined, namespace))
}

/** Whether a selector, or without one the namespace of the object, means workloads in ambient mode alone. */
export function isForAmbient(
  world: AnalysisWorld,
  { metadata: { namespace = '' } }: Resource,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  if (labels) {
    const selected = world.workloadsWith(labels, namespace)
    return selected.length > 0 && selected.every((workload) => isAmbient(world, workload))
  }
  return world.namespaceLabels(namespace)[DATAPLANE_MODE] === 'ambient' && !injects(world, namespace)
}

/**
 * What the labels of a service say about its waypoint. `none`: it has none, and asks for none; `unknown`: its namespace,
 * which may ask for one, is not among the objects.
 */
export type WaypointState =
  | { readonly state: 'none' | 'unknown' }
  | { readonly state: 'missing' | 'not ready' | 'wrong traffic'; readonly key: string }
  | { readonly state: 'ok'; readonly key: string; readonly gateway: Gateway }

/** Whether the labels of a namespace can be told; files alone seldom hold it. */
export function isNamespaceKnown(world: AnalysisWorld, name: string): boolean {
  return world.get(namespaceKind, undefined, name) !== undefined
}

/** By labels, in the order of the control plane: the object's own, or else its namespace's. */
export function waypointState(world: AnalysisWorld, object: Resource): WaypointState {
  const { namespace = '', labels } = object.metadata
  const named = useWaypoint(labels, namespace) ?? useWaypoint(world.namespaceLabels(namespace), namespace)
  if (named === 'none') return { state: 'none' }
  if (!named) return { state: isNamespaceKnown(world, namespace) ? 'none' : 'unknown' }
  const key = `${named.namespace}/${named.name}`
  const gateway = world.get(gatewayKind, named.namespace, named.name)
  if (!gateway) return { state: 'missing', key }
  const takes = gateway.metadata.labels?.['istio.io/waypoint-for'] ?? 'service'
  if (takes !== 'service' && takes !== 'all') return { state: 'wrong traffic', key }
  const judged = conditionsOf(gateway).some(({ type, status }) => type === 'Programmed' && status !== 'Unknown')
  return judged && !isConditionTrue(gateway, 'Programmed') ? { state: 'not ready', key } : { state: 'ok', key, gateway }
}

export function isWaypoint({ spec }: Gateway): boolean {
  return spec?.gatewayClassName?.startsWith(WAYPOINT_CLASS) ?? false
}

/** Services whose pods are meant by a selector in their namespace. */
export function servicesOf(world: AnalysisWorld, { namespace, labels }: Workload): readonly Service[] {
  return world.list(serviceKind, namespace).filter(({ spec }) => {
    const selector = spec?.selector ?? {}
    return Object.keys(selector).length > 0 && matchesEvery(selector, labels)
  })
}

interface Attached {
  readonly targetRefs?: readonly PolicyTargetReference[]
  readonly targetRef?: PolicyTargetReference
}

/** In both forms; empty: by selector, or for a whole namespace. */
export function targetRefsOf({ spec }: Resource): readonly PolicyTargetReference[] {
  const { targetRefs, targetRef } = (spec ?? {}) as Attached
  return targetRefs ?? (targetRef ? [targetRef] : [])
}

/** JSON path of the target at `index`, in the form that was used. */
export function targetRefPath({ spec }: Resource, index: number): string {
  return (spec as Attached | undefined)?.targetRefs ? `spec.targetRefs[${index}]` : 'spec.targetRef'
}

/** `app=web,tier=db`, sorted. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',')
}
