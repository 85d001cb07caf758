import { objectKey, type PolicyReplay, type PolicyReplayStatus } from '@ambient-lab/api'
import {
  type DiscoverySession,
  type ReplayQuery,
  type ResourceChanges,
  TRUST_TYPE,
  TYPE_URLS,
  VersionedResources,
} from '@ambient-lab/xds'
import type { CreateHandler } from './api-server/index.ts'
import { askAgents } from './ask-agents.ts'
import type { Cluster } from './cluster.ts'
import type { MeshConfig } from './mesh-config.ts'
import { ObjectOverlay } from './object-overlay.ts'
import { placed, proposedKind, proposedObject, storeType } from './proposed-objects.ts'
import { Translator } from './translate/translator.ts'

export interface PolicyReplayComponents {
  readonly cluster: Cluster
  readonly mesh: MeshConfig
  /** What is served now. */
  readonly resources: VersionedResources
  /** Of every node whose agent is connected now. */
  readonly sessions: () => ReadonlyMap<string, DiscoverySession>
}

const SINCE_SECONDS_DEFAULT = 300

/**
 * Answers PolicyReplays: translates the objects as they would be, finds which resources differ from what is served, and
 * has every proxy take its late decisions again with those.
 */
export class PolicyReplayService {
  readonly #components: PolicyReplayComponents

  constructor(components: PolicyReplayComponents) {
    this.#components = components
  }

  /** @throws StatusError when an object is none that the API would take */
  readonly create: CreateHandler = async ({ object }) => {
    const review = object as PolicyReplay
    const { sinceSeconds = SINCE_SECONDS_DEFAULT } = review.spec ?? {}
    const changes = this.#changes(review)
    const answers = await this.#ask({ changes, sinceMs: sinceSeconds * 1000 })
    return { ...review, status: answers }
  }

  #changes({ spec = {} }: PolicyReplay): readonly ResourceChanges[] {
    const { cluster, mesh, resources } = this.#components
    const overlay = new ObjectOverlay(cluster)
    for (const object of spec.objects ?? []) {
      overlay.set(storeType(proposedKind(object)), proposedObject(object))
    }
    for (const object of spec.remove ?? []) {
      const definition = proposedKind(object)
      overlay.remove(storeType(definition), objectKey(placed(definition, object).metadata))
    }
    const would = new VersionedResources()
    using _translator = new Translator({ cluster: overlay, resources: would, mesh })
    return differences(resources, would)
  }

  async #ask(query: ReplayQuery): Promise<PolicyReplayStatus> {
    const { answers: found, silent } = await askAgents(this.#components.sessions(), 'replay', query)
    return {
      decisions: found.reduce((sum, { decisions }) => sum + decisions, 0),
      flips: found.flatMap(({ flips }) => flips).sort((a, b) => b.count - a.count),
      refused: found[0]?.refused ?? [],
      silentNodes: silent,
    }
  }
}

function differences(current: VersionedResources, would: VersionedResources): ResourceChanges[] {
  // Trust is no translation of objects, and no policy.
  return TYPE_URLS.filter((typeUrl) => typeUrl !== TRUST_TYPE)
    .map((typeUrl) => {
      const upserts = [...would.names(typeUrl)].flatMap((name) => {
        const next = would.get(typeUrl, name)!
        return current.get(typeUrl, name)?.version === next.version ? [] : [{ name, resource: next.resource }]
      })
      const removed = [...current.names(typeUrl)].filter((name) => !would.get(typeUrl, name))
      return { typeUrl, upserts, removed }
    })
    .filter(({ upserts, removed }) => upserts.length > 0 || removed.length > 0)
}
