import { AmbientLab } from './ambient-lab.ts'
import type { LoadTarget } from './load.ts'

/** Of everything in this world. */
export const LOAD_NAMESPACE = 'load'

export interface LoadWorldInit {
  /** Of the lab. */
  readonly name: string
  /** The caller is on the first, the server on the second: every connection crosses a tunnel. */
  readonly nodes: readonly [string, string, ...string[]]
  /** What the server speaks: lines at port 9000, or HTTP at port 80. */
  readonly serves: 'tcp' | 'http'
  /** @default 'ambient' */
  readonly mode?: 'ambient' | 'sidecar'
  /** In front of the namespace, or of a second service of the same pods, `guarded`. @default there is none */
  readonly waypoint?: 'namespace' | 'guarded'
  /** Of a deployment, wherever the scheduler puts them. @default one pod on the second node */
  readonly replicas?: number
  /** What one test has besides. */
  readonly more?: string
  /** For every process of the lab. */
  readonly settings?: NodeJS.ProcessEnv
}

const WAYPOINT = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: waypoint, namespace: ${LOAD_NAMESPACE}, labels: { istio.io/waypoint-for: service } }
spec:
  gatewayClassName: istio-waypoint
  listeners: [{ name: mesh, port: 15008, protocol: HBONE }]
`
const SERVERS = {
  tcp: {
    port: 9000,
    ports: '[{ name: tcp, port: 9000 }]',
    container: { name: 'echo', image: 'istio/tcp-echo-server', ports: [{ containerPort: 9000 }] },
  },
  http: {
    port: 80,
    ports: '[{ name: http, port: 80, targetPort: 3000 }]',
    container: { name: 'echo', image: 'ambient-lab/echo', ports: [{ containerPort: 3000 }] },
  },
}

/** A server that is deployed, for worlds that say how many there are. */
export function echoDeployment(replicas: number, serves: LoadWorldInit['serves'] = 'http') {
  const app = { app: 'echo' }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'echo', namespace: LOAD_NAMESPACE },
    spec: {
      replicas,
      selector: { matchLabels: app },
      template: { metadata: { labels: app }, spec: { containers: [SERVERS[serves].container] } },
    },
  }
}

/** Somebody who calls. */
export function callerPod(name: string, node: string): string {
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${LOAD_NAMESPACE}, labels: { app: ${name} } }
spec: { nodeName: ${node}, containers: [{ name: curl, image: curlimages/curl }] }
`
}

/** The small world in which a load counts what fails: a caller, an echo, and what is between them. */
export function loadWorld({ nodes, serves, mode, waypoint, replicas, more }: LoadWorldInit): string {
  const [caller, server] = nodes
  const { ports, container } = SERVERS[serves]
  const labels = [mode === 'sidecar' ? 'istio-injection: enabled' : 'istio.io/dataplane-mode: ambient']
  const useWaypoint = 'istio.io/use-waypoint: waypoint'
  if (waypoint === 'namespace') labels.push(useWaypoint)
  const service = (name: string, label = '') => `
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${LOAD_NAMESPACE}, labels: { ${label} } }
spec: { selector: { app: echo }, ports: ${ports} }
`
  const echo = `
apiVersion: v1
kind: Pod
metadata: { name: echo, namespace: ${LOAD_NAMESPACE}, labels: { app: echo } }
spec: { nodeName: ${server}, containers: [${JSON.stringify(container)}] }
`
  return [
    `
apiVersion: v1
kind: Namespace
metadata: { name: ${LOAD_NAMESPACE}, labels: { ${labels.join(', ')} } }
`,
    waypoint ? WAYPOINT : '',
    service('echo'),
    waypoint === 'guarded' ? service('guarded', useWaypoint) : '',
    `---${replicas === undefined ? echo : `\n${JSON.stringify(echoDeployment(replicas, serves))}\n`}`,
    `---${callerPod('curl', caller)}`,
    more ? `---${more}` : '',
  ].join('')
}

/** A lab of its own with that world in it, everything ready. */
export class LoadWorld implements AsyncDisposable {
  readonly lab: AmbientLab
  readonly #port: number

  private constructor(lab: AmbientLab, port: number) {
    this.lab = lab
    this.#port = port
  }

  static async start(init: LoadWorldInit): Promise<LoadWorld> {
    const lab = await AmbientLab.start({ ...init, world: loadWorld(init), readyNamespaces: [LOAD_NAMESPACE] })
    try {
      if (init.waypoint) await lab.ok('waypoint', 'status', '-n', LOAD_NAMESPACE, '--wait')
      return new LoadWorld(lab, SERVERS[init.serves].port)
    } catch (error) {
      await lab[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The way of a caller's programs to a service, as it is now: a restart of the caller's node gives it another door. */
  async target(service: 'echo' | 'guarded' = 'echo', caller = 'curl'): Promise<LoadTarget> {
    const capture = await this.lab.capture(LOAD_NAMESPACE, caller)
    return { capture, host: service, port: this.#port }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.lab[Symbol.asyncDispose]()
  }
}
