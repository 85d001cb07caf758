import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type Gateway, type Node, type Pod, parseManifest, type Resource } from '@ambient-lab/api'
import { type ApiClient, applyAll } from '@ambient-lab/lab'
import { eventually, TestCertificates } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import type { CorpusFolder } from '../corpus.ts'
import { deleteObject } from '../delete-object.ts'
import { allReady, bringUp, NODES, POD_TYPE } from '../real-lab.ts'
import type { LabelChange } from './cases.ts'
import { PROTOCOL_OF_PORT } from './protocols.ts'

const PROGRAM = fileURLToPath(new URL('echo-program.ts', import.meta.url))
const NODE_TYPE = { group: '', version: 'v1', resource: 'nodes' }
const NAMESPACE = 'echo'

/** Where Istio's tests enter the mesh: any pod that Gateways of Istio's own kind select by this label and identity. */
const INGRESS: Gateway = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: {
    name: 'ingressgateway',
    namespace: 'istio-system',
    annotations: { 'gateway.istio.io/service-account': 'istio-ingressgateway-service-account' },
  },
  spec: {
    gatewayClassName: 'istio',
    infrastructure: { labels: { istio: 'ingressgateway' } },
    listeners: [{ name: 'unused', port: 8080, protocol: 'HTTP' }],
  },
}

/** Upper bound of a wait for what takes a fraction of it on an idle machine. */
const PROGRAMMED_TIMEOUT_MS = 10_000

/** The corpus's world as a lab of real processes: its pods on two nodes, each running the echo program. */
export class IntegrationWorld implements AsyncDisposable {
  readonly #lab: AmbientLab
  readonly #client: ApiClient
  readonly #adminPorts: readonly number[]
  /** Address in the corpus → pod. */
  readonly #podByWorldAddress: ReadonlyMap<string, string>
  readonly #pods: ReadonlyMap<string, Pod>
  #marks = 0

  private constructor(init: {
    readonly lab: AmbientLab
    readonly client: ApiClient
    readonly adminPorts: readonly number[]
    readonly podByWorldAddress: ReadonlyMap<string, string>
    readonly pods: ReadonlyMap<string, Pod>
  }) {
    this.#lab = init.lab
    this.#client = init.client
    this.#adminPorts = init.adminPorts
    this.#podByWorldAddress = init.podByWorldAddress
    this.#pods = init.pods
  }

  static async start(folder: CorpusFolder): Promise<IntegrationWorld> {
    const lab = new AmbientLab()
    try {
      const { resources } = await parseManifest(folder.text('world.yaml'))
      const objects = resources.map(({ object }) => object)
      const client = await bringUp(lab, 'integration', [...runnable(objects), INGRESS])
      await allReady(client)
      const nodes = (await client.list<Node>(NODE_TYPE)).items
      const pods = (await client.list<Pod>(POD_TYPE, { namespace: NAMESPACE })).items
      return new IntegrationWorld({
        lab,
        client,
        adminPorts: nodes.map(({ status }) => status!.agent!.ports.admin),
        podByWorldAddress: new Map(objects.flatMap(worldAddress)),
        pods: new Map(pods.map((pod) => [pod.metadata.name, pod])),
      })
    } catch (error) {
      await lab[Symbol.asyncDispose]()
      throw error
    }
  }

  pod(name: string): Pod {
    const pod = this.#pods.get(name)
    if (!pod) throw new Error(`the world has no pod ${name}`)
    return pod
  }

  /** The pod whose address this is in the corpus. */
  podAt(worldAddress: string): Pod {
    return this.pod(this.#podByWorldAddress.get(worldAddress) ?? worldAddress)
  }

  /** Where the ingress gateway listens for a port of the Gateways that select it, once somebody answers there. */
  ingress(port: number): Promise<{ readonly host: string; readonly port: number }> {
    const { namespace, name } = INGRESS.metadata
    return eventually(
      async () => {
        const pods = (await this.#client.list<Pod>(POD_TYPE, { namespace })).items
        const pod = pods.find(({ metadata }) => metadata.labels?.['istio.io/gateway-name'] === name)
        const address = pod?.status?.ambientLab?.ports?.[String(port)]
        if (!address) throw new Error(`the ingress gateway does not listen on ${port} yet`)
        await expectListening(address)
        return address
      },
      { timeoutMs: PROGRAMMED_TIMEOUT_MS },
    )
  }

  /** Holds while the objects are there, and every proxy acts on it from before `body` to its end. */
  async under(manifests: readonly string[], labels: readonly LabelChange[], body: () => Promise<void>): Promise<void> {
    const parsed = await Promise.all(manifests.map((text) => parseManifest(text, { defaultNamespace: NAMESPACE })))
    const resources = parsed.flatMap((manifest) => manifest.resources)
    await applyAll(this.#client, resources)
    for (const change of labels) await this.#label(change, change.set)
    try {
      await this.#programmed()
      await body()
    } finally {
      for (const change of labels) {
        await this.#label(change, Object.fromEntries(Object.keys(change.set).map((key) => [key, null])))
      }
      for (const resource of resources) await deleteObject(this.#client, resource)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]()
    await this.#lab[Symbol.asyncDispose]()
  }

  /**
   * Until every agent has whatever was written so far: a policy and a service that were written after it have arrived,
   * and each type's news arrive in their order.
   */
  async #programmed(): Promise<void> {
    const name = `marker-${this.#marks++}`
    const marker = await parseManifest(markerManifest(name))
    await applyAll(this.#client, marker.resources)
    try {
      await this.#expectEverywhere(name)
    } finally {
      for (const resource of marker.resources) await deleteObject(this.#client, resource)
    }
  }

  async #expectEverywhere(name: string): Promise<void> {
    await eventually(
      async () => {
        for (const port of this.#adminPorts) await expectMarker(port, name)
        return true
      },
      { timeoutMs: PROGRAMMED_TIMEOUT_MS },
    )
  }

  async #label({ kind, namespace, name }: LabelChange, labels: Readonly<Record<string, string | null>>): Promise<void> {
    const resource = kind === 'Service' ? 'services' : 'pods'
    await this.#client.mergePatch({ group: '', version: 'v1', resource }, { namespace, name }, { metadata: { labels } })
  }
}

function markerManifest(name: string): string {
  return `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: default }
spec: { selector: { matchLabels: { marker: nobody } } }
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: default }
spec: { ports: [{ port: 80 }] }
`
}

async function expectMarker(adminPort: number, name: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/config_dump`)
  const { policies, services } = (await response.json()) as Record<string, readonly { readonly name: string }[]>
  for (const list of [policies, services]) {
    if (!list?.some((item) => item.name === name)) throw new Error(`an agent does not have ${name} yet`)
  }
}

async function expectListening(address: { readonly host: string; readonly port: number }): Promise<void> {
  const socket = connect(address)
  try {
    await once(socket, 'connect')
  } finally {
    socket.destroy()
  }
}

function worldAddress(object: Resource): [string, string][] {
  const address = object.kind === 'Pod' ? (object as Pod).status?.podIP : undefined
  return address === undefined ? [] : [[address, object.metadata.name]]
}

function runnable(objects: readonly Resource[]): Resource[] {
  const { privateKey, chainPem } = new TestCertificates().svid('echo/echo')
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const tls = { ECHO_KEY: key, ECHO_CERTIFICATE: chainPem }
  return objects.map((object) => (object.kind === 'Pod' ? runnablePod(object as Pod, tls) : object))
}

/** Versions on different nodes, so that calls cross the tunnel and stay on the node alike. */
function runnablePod({ apiVersion, kind, metadata, spec }: Pod, tls: Readonly<Record<string, string>>): Pod {
  const container = {
    name: 'app',
    command: [process.execPath, '--conditions=@ambient-lab/source', PROGRAM],
    env: Object.entries(tls).map(([name, value]) => ({ name, value })),
    ports: Object.keys(PROTOCOL_OF_PORT).map((port) => ({ containerPort: Number(port) })),
  }
  const nodeName = metadata.name.endsWith('-v1') ? NODES[0] : NODES[1]
  const serviceAccountName = spec?.serviceAccountName ?? 'default'
  return { apiVersion, kind, metadata, spec: { serviceAccountName, nodeName, containers: [container] } } as Pod
}
