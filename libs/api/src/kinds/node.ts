import { type Condition, getCondition } from '../condition.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, boolean, CONDITIONS, integer, object, string } from '../schema.ts'

interface SocketPlace {
  readonly host: string
  readonly port: number
}

export interface NodeSpec {
  readonly podCIDR?: string
  /** Host name of the machine whose supervisor runs the agent; absent: where the control plane runs. */
  readonly machine?: string
  readonly unschedulable?: boolean
}

/** The agent that is this node, as it introduced itself. */
export interface NodeAgentStatus {
  readonly pid: number
  readonly version: string
  /** RFC 3339. */
  readonly startedAt: string
  readonly machine: string
  readonly hbone: SocketPlace
  readonly underlay: SocketPlace
  readonly ports: Readonly<Record<'admin' | 'metrics' | 'ready', number>>
}

export interface NodeStatus {
  /** `Ready`: True AgentReady, False AgentGone or NeverJoined. */
  readonly conditions?: readonly Condition[]
  readonly agent?: NodeAgentStatus
  readonly allocatable?: { readonly pods?: string }
}

export type Node = Resource<NodeSpec, NodeStatus>

/** Annotation: the supervisor restarts the node's agent whenever its value changes. */
export const RESTARTED_AT_ANNOTATION = 'ambient.lab/restartedAt'

export default defineKind<Node>({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  scope: 'Cluster',
  schema: object({
    spec: object({ podCIDR: string(), machine: string(), unschedulable: boolean() }, { open: true }),
    status: object(
      {
        conditions: CONDITIONS,
        agent: object({ pid: integer(), version: string(), startedAt: string() }, { open: true }),
        allocatable: ANY_OBJECT,
      },
      { open: true },
    ),
  }),
  columns: [
    { title: 'STATUS', value: nodeStatus },
    { title: 'ROLES', value: nodeRoles },
    { title: 'VERSION', value: ({ status }) => status?.agent?.version ?? '' },
    { title: 'POD-CIDR', wide: true, value: ({ spec }) => spec?.podCIDR ?? '<none>' },
    { title: 'MACHINE', wide: true, value: ({ spec, status }) => status?.agent?.machine ?? spec?.machine ?? '<none>' },
    { title: 'HBONE', wide: true, value: ({ status }) => place(status?.agent?.hbone) },
    { title: 'PID', wide: true, value: ({ status }) => String(status?.agent?.pid ?? '<none>') },
  ],
})

function nodeStatus(node: Node): string {
  const ready = getCondition(node, 'Ready')?.status
  const words = [ready === 'True' ? 'Ready' : ready === 'False' ? 'NotReady' : 'Unknown']
  if (node.spec?.unschedulable) words.push('SchedulingDisabled')
  return words.join(',')
}

const ROLE_LABEL = 'node-role.kubernetes.io/'

function nodeRoles({ metadata }: Node): string {
  const roles = Object.keys(metadata.labels ?? {}).filter((label) => label.startsWith(ROLE_LABEL))
  return roles.length > 0 ? roles.map((label) => label.slice(ROLE_LABEL.length)).join(',') : '<none>'
}

function place(where: SocketPlace | undefined): string {
  return where ? `${where.host}:${where.port}` : '<none>'
}
