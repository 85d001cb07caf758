import { formatAge } from '@ambient-lab/std'
import type { Condition } from '../condition.ts'
import { defineKind } from '../kind.ts'
import { POD_SPEC, type PodSpec } from '../pod-template.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, CONDITIONS, object, oneOf, string } from '../schema.ts'

interface SocketPlace {
  readonly host: string
  readonly port: number
}

export interface ContainerStatus {
  readonly name: string
  readonly ready: boolean
  readonly restartCount: number
  readonly image?: string
  readonly imageID?: string
  readonly started?: boolean
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string }
    readonly running?: { readonly startedAt?: string }
    readonly terminated?: {
      readonly exitCode?: number
      readonly reason?: string
      readonly message?: string
      /** RFC 3339. */
      readonly finishedAt?: string
    }
  }
  readonly lastState?: ContainerStatus['state']
}

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'

export interface PodStatus {
  readonly phase?: PodPhase
  readonly podIP?: string
  readonly podIPs?: readonly { readonly ip: string }[]
  readonly hostIP?: string
  readonly startTime?: string
  readonly conditions?: readonly Condition[]
  readonly containerStatuses?: readonly ContainerStatus[]
  readonly reason?: string
  readonly message?: string
  /** What only a lab knows: where the simulated pod really listens. */
  readonly ambientLab?: {
    readonly capture?: SocketPlace
    /** The workload's DNS proxy, UDP and TCP. */
    readonly dns?: SocketPlace
    /** Container port → where it listens on the agent's machine. */
    readonly ports?: Readonly<Record<string, SocketPlace>>
    /** Of a real program. */
    readonly pid?: number
    readonly certificate?: PodCertificate
  }
}

/** Of a pod in the mesh, or of a proxy. */
export interface PodCertificate {
  readonly state: string
  readonly notAfter?: string
  readonly reason?: string
  /** Upper case hex. */
  readonly serialNumber?: string
  /** Name of the TrustRoot that it leads to; absent when that is none that is trusted. */
  readonly root?: string
  /** Names of the TrustRoots that its holder believes. */
  readonly trusts?: readonly string[]
}

export type Pod = Resource<PodSpec, PodStatus>

/** Annotation: `host:port` of something that already runs, instead of containers. */
export const ENDPOINT_ANNOTATION = 'ambient.lab/endpoint'
/** Annotation, written when the pod is captured: `enabled`. */
export const REDIRECTION_ANNOTATION = 'ambient.istio.io/redirection'

export default defineKind<Pod>({
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po', 'wl', 'workload', 'workloads'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: { ...POD_SPEC, properties: { ...POD_SPEC.properties, serviceAccountName: string({ default: 'default' }) } },
      status: object(
        {
          phase: oneOf('Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'),
          conditions: CONDITIONS,
          containerStatuses: array(ANY_OBJECT),
        },
        { open: true },
      ),
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'READY', value: readyText },
    { title: 'STATUS', value: podStatusText },
    { title: 'RESTARTS', value: restartsText },
    { title: 'IP', wide: true, value: ({ status }) => status?.podIP ?? '<none>' },
    { title: 'NODE', wide: true, value: ({ spec }) => spec?.nodeName || '<none>' },
    { title: 'NOMINATED NODE', wide: true, value: () => '<none>' },
    { title: 'READINESS GATES', wide: true, value: () => '<none>' },
  ],
})

function readyText({ spec, status }: Pod): string {
  const ready = (status?.containerStatuses ?? []).filter((container) => container.ready).length
  return `${ready}/${spec?.containers?.length ?? 0}`
}

/** What kubectl shows in STATUS: the most telling of phase, reasons of containers, and deletion. */
export function podStatusText({ metadata, status }: Pod): string {
  if (metadata.deletionTimestamp) return status?.reason === 'NodeLost' ? 'Unknown' : 'Terminating'
  for (const { state } of status?.containerStatuses ?? []) {
    if (state?.waiting?.reason) return state.waiting.reason
    if (state?.terminated) return state.terminated.reason || `ExitCode:${state.terminated.exitCode ?? 0}`
  }
  return status?.reason || status?.phase || 'Pending'
}

/** `2 (40s ago)` where the last end is known. */
function restartsText({ status }: Pod, nowMs: number): string {
  const statuses = status?.containerStatuses ?? []
  const restarts = statuses.reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0)
  const ends = statuses.map(({ lastState }) => Date.parse(lastState?.terminated?.finishedAt ?? ''))
  const lastMs = Math.max(...ends.filter(Number.isFinite))
  return restarts > 0 && Number.isFinite(lastMs) ? `${restarts} (${formatAge(nowMs - lastMs)} ago)` : String(restarts)
}
