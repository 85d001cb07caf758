/** A pod that a node has to run: what the kubelet would read from the API server. Resource name: the workload's uid. */
export interface Assignment {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly address: string
  /** Whether the mesh captures it (`istio.io/dataplane-mode`), as the control plane resolved the labels. */
  readonly captured: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly containers: readonly AssignedContainer[]
  /** What the pod's volumes hold, by name of the volume; one that is no ConfigMap has no entry. */
  readonly volumes?: Readonly<Record<string, AssignedVolume>>
  /** `host:port` of something that already runs (`ambient.lab/endpoint`), instead of containers. */
  readonly endpoint?: string
  /** Of a replica of an L7 proxy: the resource name of its L7Proxy, `namespace/gateway`. */
  readonly proxy?: string
  /** Whether a sidecar is at its side, through which everything goes in and out. @default false */
  readonly sidecar?: boolean
  /** Grows with each restart that somebody asked for. */
  readonly generation: number
}

export interface AssignedContainer {
  readonly name: string
  readonly image: string
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly ports: readonly {
    readonly name?: string
    readonly containerPort: number
    readonly protocol: 'TCP' | 'UDP'
  }[]
  /** Which of the pod's volumes it sees, and where. */
  readonly mounts?: readonly AssignedMount[]
}

export interface AssignedMount {
  readonly volume: string
  /** Absolute. */
  readonly mountPath: string
  /** One file or folder of the volume, which then stands at `mountPath` itself. */
  readonly subPath?: string
}

/** A volume of ConfigMaps as it is now. */
export interface AssignedVolume {
  readonly files: readonly AssignedFile[]
  /** Why no container can start with it yet, in the kubelet's words. */
  readonly missing?: string
}

export interface AssignedFile {
  /** Below the mount, with slashes. */
  readonly path: string
  readonly content: string
  /** Of `binaryData`: base64. */
  readonly encoding: 'utf8' | 'base64'
}
