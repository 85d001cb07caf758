import { type Analysis, analyze, applyDefaults, KINDS, type Resource } from '@ambient-lab/api'
import type { CreateHandler } from './api-server/index.ts'
import type { Cluster } from './cluster.ts'
import type { MeshConfig } from './mesh-config.ts'
import { proposedKind, proposedObject, storeType } from './proposed-objects.ts'

export interface AnalysisComponents {
  readonly cluster: Cluster
  readonly mesh: MeshConfig
}

/** Answers Analyses: what the analyzers find in what is stored and what is brought along. */
export class AnalysisService {
  readonly #components: AnalysisComponents

  constructor(components: AnalysisComponents) {
    this.#components = components
  }

  /** @throws StatusError when an object is none that the API would take */
  readonly create: CreateHandler = async ({ object }) => {
    const review = object as Analysis
    const { cluster, mesh } = this.#components
    const { objects = [], useLab = true } = review.spec ?? {}
    const proposed = objects.map((one) => applyDefaults(proposedKind(one), proposedObject(one)))
    const findings = await analyze([...(useLab ? this.#stored() : []), ...proposed], {
      rootNamespace: mesh.rootNamespace,
      clusterDomain: mesh.clusterDomain,
      nowMs: cluster.clock.now(),
    })
    return { ...review, status: { findings } }
  }

  #stored(): readonly Resource[] {
    const { store } = this.#components.cluster
    return KINDS.filter(({ virtual }) => !virtual).flatMap((kind) => store.list(storeType(kind)))
  }
}
