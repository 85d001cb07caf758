/**
 * Where a simulated node's ztunnel listens. Stands for the routes of a cluster's network: a pod's `ip:15008` is
 * reached at its node's listener, which tells the pods apart by SNI.
 */
export interface Node {
  readonly name: string
  /** The agent's HBONE listener; absent while no agent is connected and none ever was. */
  readonly hbone?: { readonly host: string; readonly port: number }
  /** The agent's listener that stands for the pod network: plaintext connections, each opened by a PROXY protocol v2 header. */
  readonly underlay?: { readonly host: string; readonly port: number }
  readonly podCidr: string
  readonly status: 'HEALTHY' | 'UNHEALTHY'
}
