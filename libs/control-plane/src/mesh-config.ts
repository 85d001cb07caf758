/** Settings that are the same for the whole mesh; Istio's MeshConfig and installation values. */
export interface MeshConfig {
  /** @default 'cluster.local' */
  readonly trustDomain: string
  /** @default 'Kubernetes' */
  readonly clusterId: string
  /** @default 'cluster.local' */
  readonly clusterDomain: string
  /** @default '' */
  readonly network: string
  /** Where mesh-wide policies live. @default 'istio-system' */
  readonly rootNamespace: string
}

export const MESH_CONFIG_DEFAULT: MeshConfig = {
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  clusterDomain: 'cluster.local',
  network: '',
  rootNamespace: 'istio-system',
}
