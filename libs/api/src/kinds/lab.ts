import type { Condition } from '../condition.ts'
import { defineKind, type FieldError } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, integer, object, STATUS, STRING_MAP, STRINGS, string } from '../schema.ts'

export interface LabNode {
  readonly name: string
  /** Host name of another machine that joined; absent: here. */
  readonly machine?: string
  /** Of the Node, as `topology.istio.io/network`. */
  readonly labels?: Readonly<Record<string, string>>
}

/** A lab file: what to start, what to apply, what to break and when. */
export interface LabSpec {
  /** The lab's source of chance. */
  readonly seed?: number
  readonly nodes?: readonly LabNode[]
  readonly links?: readonly {
    readonly from: string
    readonly to: string
    readonly impair?: Readonly<Record<string, string>>
  }[]
  /** Files and folders, relative to the lab file. */
  readonly apply?: readonly string[]
  readonly faults?: readonly Readonly<Record<string, unknown>>[]
  readonly load?: readonly Readonly<Record<string, unknown>>[]
  readonly checks?: readonly string[]
}

export interface LabStatus {
  readonly phase?: string
  readonly nodes?: number
  readonly pods?: number
  readonly readyPods?: number
  readonly conditions?: readonly Condition[]
}

export type Lab = Resource<LabSpec, LabStatus>

const NODE_NAME = string({ minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' })

export default defineKind<Lab>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'Lab',
  plural: 'labs',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object({
        seed: integer({ minimum: 0 }),
        nodes: array(
          object({ name: NODE_NAME, machine: string({ minLength: 1 }), labels: STRING_MAP }, { required: ['name'] }),
        ),
        links: array(
          object({ from: NODE_NAME, to: NODE_NAME, impair: ANY_OBJECT }, { required: ['from', 'to', 'impair'] }),
        ),
        apply: STRINGS,
        faults: array(ANY_OBJECT),
        load: array(ANY_OBJECT),
        checks: STRINGS,
      }),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'PHASE', value: ({ status }) => status?.phase ?? 'Pending' },
    { title: 'NODES', type: 'integer', value: ({ spec, status }) => status?.nodes ?? spec?.nodes?.length ?? 0 },
    { title: 'PODS', value: ({ status }) => `${status?.readyPods ?? 0}/${status?.pods ?? 0}` },
  ],
  validate: ({ spec = {} }) => [...uniqueNodes(spec.nodes ?? []), ...knownLinkEnds(spec)],
})

function uniqueNodes(nodes: readonly LabNode[]): FieldError[] {
  const names = nodes.map(({ name }) => name)
  return names.flatMap((name, index) =>
    names.indexOf(name) < index
      ? [{ path: `spec.nodes[${index}].name`, message: `Duplicate value: ${JSON.stringify(name)}` }]
      : [],
  )
}

function knownLinkEnds({ nodes, links = [] }: LabSpec): FieldError[] {
  const names = new Set((nodes ?? []).map(({ name }) => name))
  return links.flatMap((link, index) =>
    (['from', 'to'] as const)
      .filter((end) => !names.has(link[end]))
      .map((end) => ({
        path: `spec.links[${index}].${end}`,
        message: `Not found: ${JSON.stringify(link[end])} is no node of spec.nodes`,
      })),
  )
}
