/** A pod that a node has to run: what the kubelet would read from the API server. Resource name: the workload's uid. */
export interface Assignment {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly address: string
  /** Whether the mesh captures it (`istio.io/dataplane-mode`), as the control plane resolved the labels. */
  readonly captured: boolean
  /** `ambient.istio.io/bypass-inbound-capture`: what comes in plaintext passes, although the pod is captured. */
  readonly bypassesInboundCapture?: boolean
  /** `ambient.istio.io/dns-capture: "false"`: it knows the names that a cluster's DNS would know, and no others of the mesh. */
  readonly bypassesDnsCapture?: boolean
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

/** How a node finds out how a container is; Kubernetes' fields, with its defaults filled in. */
export interface ContainerProbe {
  /** A container port; asked where it really listens, past the mesh, as the kubelet's probes pass ztunnel. Absent with `exec`. */
  readonly port?: number
  /** A command beside the container's program, which says by its exit status how that is. */
  readonly exec?: readonly string[]
  /** Absent, and with a port: accepting a connection is enough. */
  readonly http?: {
    readonly path: string
    readonly secure: boolean
    readonly headers: readonly { readonly name: string; readonly value: string }[]
  }
  readonly initialDelayMs: number
  readonly periodMs: number
  readonly timeoutMs: number
  readonly successThreshold: number
  readonly failureThreshold: number
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
  /** Whether it may be sent traffic. @default it may as soon as it runs and its ports accept */
  readonly readiness?: ContainerProbe
  /** Whether it has to be started again. @default only when it ends */
  readonly liveness?: ContainerProbe
  /** Until it succeeds the others are not asked; if it does not, the container is started again. */
  readonly startup?: ContainerProbe
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
