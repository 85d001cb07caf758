import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import {
  type Fault,
  type FaultType,
  findKind,
  type Lab,
  type LabNode,
  type Load,
  loadManifest,
  type ManifestResource,
  type Node,
  type Resource,
  type Service,
} from '@ambient-lab/api'
import { assert, CodedError, errorCode } from '@ambient-lab/std'
import type { ApplyItem } from './apply.ts'
import { readManifests } from './manifest-files.ts'

/** A lab file, read and valid; the files that it names are not read yet. */
export interface LabFile {
  readonly path: string
  readonly lab: Lab
  readonly name: string
  readonly nodes: readonly LabNode[]
}

export interface Topology {
  /** Lab, Nodes, what the manifests say, then links, faults and loads. */
  readonly items: readonly ApplyItem[]
  readonly warnings: readonly string[]
}

/** A lab without a lab file, or whose file names no nodes, has this one. */
const DEFAULT_NODES: readonly LabNode[] = [{ name: 'n1' }]

/**
 * Reads the lab file alone, which is all that is needed to start processes.
 * @throws CodedError NO_INPUT, MANIFEST_SYNTAX, MANIFEST_INVALID, LAB_FILE_INVALID
 */
export async function readLabFile(path: string): Promise<LabFile> {
  const { resources } = await loadManifest(readText(path), { file: path })
  const labs = resources.filter(({ definition }) => definition.kind === 'Lab')
  if (labs.length !== 1) {
    throw new CodedError('LAB_FILE_INVALID', `${path} holds ${labs.length} objects of kind Lab, and must hold one`, {
      where: path,
      next: 'to apply other objects to a running lab: ambient apply -f',
    })
  }
  const lab = labs[0]!.object as Lab
  const nodes = lab.spec?.nodes?.length ? lab.spec.nodes : DEFAULT_NODES
  return { path, lab, name: lab.metadata.name, nodes }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'EISDIR') throw error
    throw new CodedError('NO_INPUT', `there is no lab file ${path}`, { cause: error, next: 'ambient up demo' })
  }
}

/**
 * Everything a lab file stands for, as objects.
 * @throws CodedError as readManifests
 */
export async function readTopology(file: LabFile): Promise<Topology> {
  const folder = dirname(resolve(file.path))
  const spec = file.lab.spec ?? {}
  const manifests =
    spec.apply && spec.apply.length > 0
      ? await readManifests(
          spec.apply.map((path) => join(folder, path)),
          { defaultNamespace: 'default' },
        )
      : { resources: [], warnings: [] }
  const warnings = [...manifests.warnings]
  const own = [
    file.lab,
    ...file.nodes.map(nodeObject),
    ...(spec.links ?? []).map(linkFault),
    ...(spec.faults ?? []).flatMap((fault, index) => labFault(fault, index, warnings)),
    ...(spec.load ?? []).map((load, index) => labLoad(load, index, manifests.resources)),
  ].map(asItem)
  return {
    items: [...own.slice(0, 1 + file.nodes.length), ...manifests.resources, ...own.slice(1 + file.nodes.length)],
    warnings,
  }
}

function asItem(object: Resource): ApplyItem {
  const definition = findKind(object)
  assert(definition, `kind ${object.kind} is not in the catalogue`)
  return { definition, object }
}

export function nodeObject({ name, machine, labels }: LabNode): Node {
  const metadata = { name, ...(labels && { labels }) }
  return { apiVersion: 'v1', kind: 'Node', metadata, spec: machine === undefined ? {} : { machine } }
}

/** A link with an impairment is a fault that lasts as long as the lab. */
function linkFault(link: { from: string; to: string; impair?: Readonly<Record<string, string>> }): Fault {
  return fault(`link-${link.from}-${link.to}`, {
    type: 'link.delay',
    from: [link.from],
    to: [link.to],
    params: link.impair ?? {},
    duration: 'forever',
    owner: 'lab file',
  })
}

function labFault(entry: Readonly<Record<string, unknown>>, index: number, warnings: string[]): Fault[] {
  const name = text(entry.name) ?? `lab-${index + 1}`
  const later = ['at', 'abortWhen'].find((field) => entry[field] !== undefined)
  if (later !== undefined) {
    warnings.push(
      `spec.faults[${index}].${later} is not honoured yet: fault ${name} is passed over (ambient fault add)`,
    )
    return []
  }
  const target = parseFaultTarget(text(entry.target) ?? '')
  const params = (entry.params ?? {}) as Readonly<Record<string, string>>
  const duration = text(entry.for) ?? 'forever'
  return [fault(name, { type: text(entry.type) as FaultType, ...target, params, duration, owner: 'lab file' })]
}

function fault(name: string, spec: NonNullable<Fault['spec']>): Fault {
  return { apiVersion: 'ambient.lab/v1', kind: 'Fault', metadata: { name }, spec }
}

/** `n1>n2` one way, `n1,n2<>n3` both, `node/n3` a node; the words that the TARGET column shows. */
export function parseFaultTarget(target: string): Pick<NonNullable<Fault['spec']>, 'from' | 'to' | 'oneway' | 'node'> {
  if (target.startsWith('node/')) return { node: target.slice('node/'.length) }
  const match = /^([^<>]+?)\s*(<>|>)\s*([^<>]+)$/.exec(target)
  if (!match) return {}
  const names = (list: string) => list.split(',').map((name) => name.trim())
  return { from: names(match[1]!), to: names(match[3]!), oneway: match[2] === '>' }
}

function labLoad(
  entry: Readonly<Record<string, unknown>>,
  index: number,
  manifests: readonly ManifestResource[],
): Load {
  const { name, from, url, to, path = '/', ...rest } = entry as Record<string, string | undefined>
  return {
    apiVersion: 'ambient.lab/v1',
    kind: 'Load',
    metadata: { name: name ?? `load-${index + 1}`, namespace: 'default' },
    spec: { rate: '', ...rest, from: from ?? '', url: url ?? `http://${hostAndPort(to ?? '', manifests)}${path}` },
  }
}

/** `svc/pay` → `pay:8080`, with the first port that the Service has in these manifests. */
function hostAndPort(to: string, manifests: readonly ManifestResource[]): string {
  const host = to.replace(/^(svc|service)\//, '')
  if (host.includes(':')) return host
  const service = manifests.find(({ object }) => object.kind === 'Service' && object.metadata.name === host)?.object as
    | Service
    | undefined
  const port = service?.spec?.ports?.[0]?.port
  return port === undefined ? host : `${host}:${port}`
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
