import { createHash } from 'node:crypto'
import type { Pod, Resource } from '@ambient-lab/api'
import type { DiscoverySession, EdgeCounters, Traffic } from '@ambient-lab/xds'
import type { SubresourceHandler, VirtualResource } from './api-server/index.ts'
import { badRequest } from './api-server/index.ts'
import { type AgentAnswers, askAgents } from './ask-agents.ts'
import type { MeshConfig } from './mesh-config.ts'
import { podUid } from './translate/pod-workload.ts'

export interface TrafficServiceComponents {
  /** Of every node whose agent is connected now. */
  readonly sessions: () => ReadonlyMap<string, DiscoverySession>
  readonly mesh: MeshConfig
}

const LOST = 'ambient.lab/lost'
const SILENT_NODES = 'ambient.lab/silent-nodes'
const TAIL_LINES_DEFAULT = 1000
const TAIL_LINES_MAX = 10_000

/** What only agents know, asked when somebody wants to know it: connections, requests, edges, what workloads wrote. */
export class TrafficService {
  readonly #components: TrafficServiceComponents

  constructor(components: TrafficServiceComponents) {
    this.#components = components
  }

  readonly connections: VirtualResource = {
    list: async ({ name }) => {
      const traffic = await this.#ask(false)
      const views = traffic.answers.flatMap(({ connections }) => connections)
      const wanted = name === undefined ? views : views.filter(({ id }) => id === name)
      return { items: wanted.map((view) => virtualObject('Connection', view.id, view)), annotations: notes(traffic) }
    },
  }

  /** Named by what is unique of a request for people, which several may share: `x-request-id`. Oldest first. */
  readonly requests: VirtualResource = {
    list: async ({ name }) => {
      const { answers, silent } = await askAgents(
        this.#components.sessions(),
        'requests',
        name === undefined ? {} : { id: name },
      )
      const views = answers.flatMap(({ requests }) => requests).sort((a, b) => a.atMs - b.atMs)
      const items = views.map((view) => virtualObject('Request', view.id, view))
      return { items, annotations: { [SILENT_NODES]: silent.join(',') } }
    },
  }

  readonly edges: VirtualResource = {
    list: async ({ name }) => {
      const traffic = await this.#ask(true)
      const items = traffic.answers
        .flatMap(({ edges }) => edges)
        .map((edge) => virtualObject('Edge', edgeName(edge), edge))
        .filter(({ metadata }) => name === undefined || metadata.name === name)
      return { items, annotations: notes(traffic) }
    },
  }

  /** GET pods/log: the last lines that the workload wrote, or one of its containers. */
  readonly podLog: SubresourceHandler = async ({ object, query }, { response }) => {
    const { namespace = '', name } = object.metadata
    const node = (object.spec as { nodeName?: string } | undefined)?.nodeName
    const session = node === undefined ? undefined : this.#components.sessions().get(node)
    if (!session)
      throw badRequest(`pod ${name} has no log: ${node ? `node ${node} is not connected` : 'it has no node'}`)
    const uid = podUid(namespace, name, this.#components.mesh.clusterId)
    const wanted = Number(query.get('tailLines') ?? TAIL_LINES_DEFAULT)
    const tailLines = Math.min(TAIL_LINES_MAX, Number.isInteger(wanted) && wanted >= 0 ? wanted : TAIL_LINES_DEFAULT)
    const container = query.get('container')
    checkContainer(object as Pod, container)
    const { lines } = await session.call('log', { uid, ...(container && { container }), tailLines })
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
    response.end(lines.map((line) => `${line}\n`).join(''))
  }

  #ask(edgesOnly: boolean): Promise<AgentAnswers<Traffic>> {
    return askAgents(this.#components.sessions(), 'traffic', { edgesOnly })
  }
}

/** With Kubernetes' words. */
function checkContainer({ metadata, spec }: Pod, container: string | null): void {
  const names = (spec?.containers ?? []).map(({ name }) => name)
  if (!container || names.includes(container)) return
  throw badRequest(`container ${container} is not valid for pod ${metadata.name}`)
}

function virtualObject(kind: string, name: string, spec: unknown): Resource {
  return { apiVersion: 'ambient.lab/v1', kind, metadata: { name }, spec }
}

function notes({ answers, silent }: AgentAnswers<Traffic>): Record<string, string> {
  const lost = answers.reduce((sum, answer) => sum + answer.lost, 0)
  return { [LOST]: String(lost), [SILENT_NODES]: silent.join(',') }
}

/** The same edge has the same name in each answer. */
function edgeName(edge: EdgeCounters): string {
  const { node, reporter, sourceWorkload, sourceNamespace, sourcePrincipal } = edge
  const { destinationWorkload, destinationNamespace, destinationPrincipal, destinationService } = edge
  const parts = [
    ...[node, reporter, sourceWorkload, sourceNamespace, sourcePrincipal],
    ...[destinationWorkload, destinationNamespace, destinationPrincipal, destinationService],
    edge.connectionSecurityPolicy,
  ]
  const digest = createHash('sha1').update(parts.join('\u0000')).digest('hex')
  return `${node}-${reporter}-${digest.slice(0, 10)}`
}
