import {
  type Condition,
  type ContainerStatus,
  type Pod,
  type PodStatus,
  REDIRECTION_ANNOTATION,
  setCondition,
  timestamp,
} from '@ambient-lab/api'
import type { Clock } from '@ambient-lab/std'
import type { WorkloadReport } from '@ambient-lab/xds'
import { sameContent } from './cluster.ts'

/** The pod as its node's agent reports it; the same object when the report tells nothing new. */
export function withReport(pod: Pod, report: WorkloadReport, host: string, clock: Pick<Clock, 'now'>): Pod {
  const annotations = redirected(pod, report.captured)
  const status = reportedStatus(pod, report, host, clock)
  if (sameContent(status, pod.status) && annotations === pod.metadata.annotations) return pod
  return { ...pod, metadata: { ...pod.metadata, ...(annotations && { annotations }) }, status }
}

/** Why nothing is known of a pod: its node's agent is not there, or is another process that has not told of it yet. */
const SILENCES = { AgentGone: 'is gone', AgentRestarted: 'was restarted' } as const

/** The pod of whose state no agent tells: nobody knows, so nobody shall be sent there. */
export function withoutAgent(pod: Pod, reason: keyof typeof SILENCES, clock: Pick<Clock, 'now'>): Pod {
  const message = `the agent of node ${pod.spec?.nodeName} ${SILENCES[reason]}`
  const conditions = readyConditions(pod.status?.conditions ?? [], { ready: false, reason, message }, clock)
  if (conditions === pod.status?.conditions) return pod
  const containerStatuses = pod.status?.containerStatuses?.map((status) => ({ ...status, ready: false }))
  return { ...pod, status: { ...pod.status, conditions, ...(containerStatuses && { containerStatuses }) } }
}

/** What the CNI writes in a cluster: peers tunnel to a pod exactly while it is there. */
function redirected(pod: Pod, captured: boolean): Readonly<Record<string, string>> | undefined {
  const { annotations } = pod.metadata
  if ((annotations?.[REDIRECTION_ANNOTATION] === 'enabled') === captured) return annotations
  const { [REDIRECTION_ANNOTATION]: _, ...others } = annotations ?? {}
  return captured ? { ...others, [REDIRECTION_ANNOTATION]: 'enabled' } : others
}

function reportedStatus(pod: Pod, report: WorkloadReport, host: string, clock: Pick<Clock, 'now'>): PodStatus {
  const { status = {} } = pod
  const { reason: _, message: __, ...kept } = status
  const finished = report.phase === 'Succeeded' || report.phase === 'Failed'
  const why = report.ready ? {} : { reason: report.reason || 'ContainersNotReady', message: report.message }
  const initialized = setCondition(status.conditions ?? [], { type: 'Initialized', status: 'True' }, clock)
  return {
    ...kept,
    phase: report.phase,
    hostIP: host,
    startTime: status.startTime ?? timestamp(report.startedAtMs || clock.now()),
    conditions: readyConditions(initialized, { ready: report.ready, ...why }, clock),
    containerStatuses: (pod.spec?.containers ?? []).map((container) =>
      containerStatus(container, reportOf(container, report)),
    ),
    ...(finished && report.reason && { reason: report.reason }),
    ...(finished && report.message && { message: report.message }),
    ambientLab: {
      ...(report.capture && { capture: report.capture }),
      ...(report.dns && { dns: report.dns }),
      ports: report.ports,
      ...(report.pid !== undefined && { pid: report.pid }),
      ...(report.certificate && {
        certificate: {
          state: report.certificate.state,
          ...(report.certificate.notAfterMs > 0 && { notAfter: timestamp(report.certificate.notAfterMs) }),
          ...(report.certificate.reason && { reason: report.certificate.reason }),
          ...(report.certificate.serialNumber && { serialNumber: report.certificate.serialNumber }),
          ...(report.certificate.root && { root: report.certificate.root }),
          ...(report.certificate.trusts.length > 0 && { trusts: report.certificate.trusts }),
        },
      }),
    },
  }
}

/** `ContainersReady` and `Ready` move together: the lab has no readiness gates. */
function readyConditions(
  conditions: readonly Condition[],
  { ready, reason, message }: { ready: boolean; reason?: string; message?: string },
  clock: Pick<Clock, 'now'>,
): readonly Condition[] {
  const status = ready ? 'True' : 'False'
  // A ready pod has no reason: the one of before must not stay.
  const bare = ready ? conditions.map(withoutReason) : conditions
  const base = sameContent(bare, conditions) ? conditions : bare
  return ['ContainersReady', 'Ready'].reduce(
    (all, type) => setCondition(all, { type, status, ...(reason && { reason }), ...(message && { message }) }, clock),
    base,
  )
}

function withoutReason(condition: Condition): Condition {
  if (condition.type !== 'Ready' && condition.type !== 'ContainersReady') return condition
  const { reason: _, message: __, ...rest } = condition
  return rest
}

/** A container's own part of the report, where there is one; one that is not told of has not begun. */
function reportOf({ name }: { readonly name: string }, report: WorkloadReport): ContainerPart {
  if (!report.containers) return report
  const own = report.containers.find((container) => container.name === name)
  const { startedAtMs } = report
  if (!own)
    return { phase: 'Pending', ready: false, reason: 'ContainerCreating', message: '', restarts: 0, startedAtMs }
  const { phase, ready, reason, message, restarts } = own
  return {
    phase: phase === 'terminated' && reason === 'Error' ? 'Failed' : PHASES[phase],
    ready,
    reason,
    message,
    restarts,
    startedAtMs,
  }
}

type ContainerPart = Pick<WorkloadReport, 'phase' | 'ready' | 'reason' | 'message' | 'restarts' | 'startedAtMs'>

const PHASES = { waiting: 'Pending', running: 'Running', terminated: 'Succeeded' } as const

function containerStatus(container: { name: string; image?: string }, report: ContainerPart): ContainerStatus {
  return {
    name: container.name,
    image: container.image ?? '',
    imageID: '',
    ready: report.ready,
    started: report.phase === 'Running' && report.reason === '',
    restartCount: report.restarts,
    state: containerState(report),
  }
}

function containerState({ phase, reason, message, startedAtMs }: ContainerPart): NonNullable<ContainerStatus['state']> {
  const why = { ...(message && { message }) }
  if (phase === 'Succeeded') return { terminated: { exitCode: 0, reason: reason || 'Completed', ...why } }
  if (phase === 'Failed') return { terminated: { exitCode: 1, reason: reason || 'Error', ...why } }
  if (phase === 'Running' && reason === '') {
    return { running: startedAtMs > 0 ? { startedAt: timestamp(startedAtMs) } : {} }
  }
  return { waiting: { reason: reason || 'ContainerCreating', ...why } }
}
