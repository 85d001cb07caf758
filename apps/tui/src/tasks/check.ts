import type { Connection, Deployment, Fault, Node, Pod } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError, errorMessage, formatAge } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { sameMinor, VERSION } from '../version.ts'
import { isReady, notReadyReason } from './pods.ts'
import { probeNodes } from './probe-nodes.ts'
import { isNodeReady, isRolledOut } from './ready.ts'
import { CONFIG_MAPS, CONNECTIONS, DEPLOYMENTS, FAULTS, NODES, PODS } from './resource-types.ts'

export const STAGES = ['processes', 'control plane', 'nodes', 'workloads', 'identity', 'data plane', 'faults'] as const

export interface CheckFinding {
  readonly stage: (typeof STAGES)[number]
  readonly level: 'ok' | 'WARN' | 'FAIL'
  readonly text: string
  /** The command that mends it. */
  readonly next?: string
}

/** Certificates that end within this are due for renewal, and were not renewed. */
const CERTIFICATE_WARN_MS = 15 * 60_000

interface LabState {
  readonly client: ApiClient
  readonly nodes: readonly Node[]
  readonly pods: readonly Pod[]
  readonly deployments: readonly Deployment[]
  readonly faults: readonly Fault[]
  readonly silentNodes: readonly string[]
  readonly nowMs: number
}

/** Every stage in order; without an API only the processes are looked at. */
export async function runChecks(context: CommandContext): Promise<CheckFinding[]> {
  const processes = context.flags.given('context') ? [] : await checkProcesses(context)
  let state: LabState
  try {
    state = await readState(context)
  } catch (error) {
    if (!CodedError.is(error, 'UNAVAILABLE')) throw error
    return [
      ...processes,
      { stage: 'control plane', level: 'FAIL', text: errorMessage(error), next: 'ambient restart control-plane' },
    ]
  }
  return [
    ...processes,
    ...(await checkControlPlane(state, context.signal)),
    await checkStore(state, context.signal),
    ...checkNodes(state),
    ...checkWorkloads(state),
    ...checkIdentity(state),
    ...(await checkDataPlane(state)),
    ...checkFaults(state),
  ]
}

async function readState(context: CommandContext): Promise<LabState> {
  const client = await context.api()
  const { signal } = context
  const [nodes, pods, deployments, faults, connections] = await Promise.all([
    client.list<Node>(NODES, { signal }),
    client.list<Pod>(PODS, { signal }),
    client.list<Deployment>(DEPLOYMENTS, { signal }),
    client.list<Fault>(FAULTS, { signal }),
    client.list<Connection>(CONNECTIONS, { signal }),
  ])
  const silent = connections.metadata.annotations?.['ambient.lab/silent-nodes']
  return {
    client,
    nodes: nodes.items,
    pods: pods.items,
    deployments: deployments.items,
    faults: faults.items,
    silentNodes: silent ? silent.split(',') : [],
    nowMs: context.clock.now(),
  }
}

async function checkProcesses(context: CommandContext): Promise<CheckFinding[]> {
  const { inspectProcesses } = await import('@ambient-lab/lab')
  const processes = inspectProcesses(await context.lab())
  const stage = 'processes'
  const dead = processes.filter(({ alive }) => !alive)
  const findings = dead.map(
    ({ role, name, pid }): CheckFinding => ({
      stage,
      level: 'FAIL',
      text: `${role} ${name} (pid ${pid}) is dead`,
      next: role === 'node-agent' ? `ambient restart node/${name}` : 'ambient up',
    }),
  )
  return findings.length > 0
    ? findings
    : [{ stage, level: 'ok', text: `${processes.length} of ${processes.length} alive` }]
}

async function checkControlPlane({ client, nodes }: LabState, signal: AbortSignal): Promise<CheckFinding[]> {
  const stage = 'control plane'
  const answer = (await client.raw('GET', '/version', { signal })) as { gitVersion?: string }
  const version = /ambient-lab\.(.+)$/.exec(answer.gitVersion ?? '')?.[1]
  const ready = nodes.filter(isNodeReady).length
  const reachable: CheckFinding = {
    stage,
    level: 'ok',
    text: `reachable on ${client.server}, ${ready} of ${nodes.length} agents connected`,
  }
  if (version === undefined || sameMinor(version, VERSION)) return [reachable]
  return [
    reachable,
    { stage, level: 'FAIL', text: `it runs ${version}, this program is ${VERSION}`, next: 'ambient down; ambient up' },
  ]
}

/** Writes an object and takes it away: an API that answers may still have a store that takes nothing. */
export async function checkStore(
  { client, nowMs }: Pick<LabState, 'nowMs'> & { readonly client: Pick<ApiClient, 'create' | 'delete'> },
  signal: AbortSignal,
): Promise<CheckFinding> {
  const stage = 'control plane'
  const metadata = { name: `ambient-check-${process.pid}-${nowMs}`, namespace: 'default' }
  try {
    await client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata }, { signal })
    await client.delete(CONFIG_MAPS, metadata, { signal })
    return { stage, level: 'ok', text: 'its store takes writes' }
  } catch (error) {
    signal.throwIfAborted()
    const text = `its store takes no writes: ${errorMessage(error)}`
    // Who may only read is told so; it says nothing of the store.
    if (CodedError.is(error, 'FORBIDDEN')) {
      return { stage, level: 'ok', text: 'whether its store takes writes is not known: this user may not write' }
    }
    return { stage, level: 'FAIL', text, next: 'ambient logs control-plane' }
  }
}

function checkNodes({ nodes }: LabState): CheckFinding[] {
  const stage = 'nodes'
  const late = nodes.filter((node) => !isNodeReady(node))
  if (nodes.length === 0) return [{ stage, level: 'FAIL', text: 'there are none', next: 'ambient node add n1' }]
  if (late.length === 0) return [{ stage, level: 'ok', text: `${nodes.length} of ${nodes.length} ready` }]
  return late.map(({ metadata, status }) => {
    const reason = status?.conditions?.find(({ type }) => type === 'Ready')?.reason ?? 'unknown'
    return {
      stage,
      level: 'FAIL',
      text: `${metadata.name} is not ready: ${reason}`,
      next: `ambient restart node/${metadata.name}`,
    }
  })
}

function checkWorkloads({ pods, deployments }: LabState): CheckFinding[] {
  const stage = 'workloads'
  const late = pods.filter((pod) => !isReady(pod) && pod.status?.phase !== 'Succeeded')
  const short = deployments.filter((deployment) => !isRolledOut(deployment))
  if (late.length === 0 && short.length === 0)
    return [{ stage, level: 'ok', text: `${pods.length} of ${pods.length} pods ready` }]
  return [
    ...late.map((pod): CheckFinding => {
      const { name, namespace } = pod.metadata
      return {
        stage,
        level: 'FAIL',
        text: `${name}: ${notReadyReason(pod)}`,
        next: `ambient describe pod/${name} -n ${namespace}`,
      }
    }),
    ...(late.length > 0 ? [] : short).map(({ metadata, status, spec }): CheckFinding => {
      const text = `deploy/${metadata.name}: ${status?.readyReplicas ?? 0} of ${spec?.replicas ?? 1} ready`
      return { stage, level: 'FAIL', text, next: `ambient describe deploy/${metadata.name} -n ${metadata.namespace}` }
    }),
  ]
}

function checkIdentity({ pods, nowMs }: LabState): CheckFinding[] {
  const stage = 'identity'
  const held = pods.flatMap((pod) =>
    pod.status?.ambientLab?.certificate ? [{ pod, certificate: pod.status.ambientLab.certificate }] : [],
  )
  const findings = held.flatMap(({ pod, certificate }): CheckFinding[] => {
    const { name, namespace } = pod.metadata
    const next = `ambient describe pod/${name} -n ${namespace}`
    if (certificate.state !== 'Available') {
      return [
        { stage, level: 'FAIL', text: `${name} has no certificate: ${certificate.reason ?? certificate.state}`, next },
      ]
    }
    const leftMs = Date.parse(certificate.notAfter ?? '') - nowMs
    if (!(leftMs < CERTIFICATE_WARN_MS)) return []
    return [
      { stage, level: leftMs <= 0 ? 'FAIL' : 'WARN', text: `${name}: certificate ends in ${formatAge(leftMs)}`, next },
    ]
  })
  return findings.length > 0 ? findings : [{ stage, level: 'ok', text: `${held.length} workload certificates valid` }]
}

/** One connection through the mesh between each two nodes that have workloads, both ways. */
async function checkDataPlane({ pods, nodes, silentNodes }: LabState): Promise<CheckFinding[]> {
  const stage = 'data plane'
  const silent = silentNodes.map(
    (name): CheckFinding => ({
      stage,
      level: 'WARN',
      text: `${name} does not answer about its traffic`,
      next: `ambient logs node/${name}`,
    }),
  )
  const names = nodes.filter(isNodeReady).map(({ metadata }) => metadata.name)
  const pairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => ({ from, to })))
  const probes = (await Promise.all(pairs.map(({ from, to }) => probeNodes(pods, from, to)))).flatMap(
    (result) => result ?? [],
  )
  const broken = probes.filter(({ outcome }) => outcome === 'unreachable')
  if (broken.length > 0) {
    return [
      ...silent,
      ...broken.map(
        ({ label }): CheckFinding => ({
          stage,
          level: 'FAIL',
          text: `no connection from ${label}`,
          next: 'ambient fault list',
        }),
      ),
    ]
  }
  const refused = probes.filter(({ outcome }) => outcome === 'refused').length
  const worst = Math.max(0, ...probes.filter(({ outcome }) => outcome === 'connected').map(({ tookMs }) => tookMs))
  const text = `${probes.length} of ${probes.length} probes between nodes answered, worst ${worst.toFixed(1)} ms${refused > 0 ? `, ${refused} refused by policy` : ''}`
  return [
    ...silent,
    { stage, level: 'ok', text: probes.length === 0 ? 'nothing to probe: workloads on one node only' : text },
  ]
}

function checkFaults({ faults, nowMs }: LabState): CheckFinding[] {
  const stage = 'faults'
  const active = faults.filter(({ status }) => status?.phase === 'Active')
  if (active.length === 0) return [{ stage, level: 'ok', text: 'none active' }]
  const ends = active.map(({ status }) => Date.parse(status?.endsAt ?? '')).filter(Number.isFinite)
  const next = ends.length > 0 ? `, next ends in ${formatAge(Math.min(...ends) - nowMs)}` : ''
  return [{ stage, level: 'WARN', text: `${active.length} active${next}`, next: 'ambient fault list' }]
}
