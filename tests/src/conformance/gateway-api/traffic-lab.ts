import {
  type Deployment,
  type Gateway,
  type ManifestResource,
  type Pod,
  parseManifest,
  type Resource,
} from '@ambient-lab/api'
import { type ApiClient, applyAll } from '@ambient-lab/lab'
import { systemClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import type { CorpusFolder } from '../corpus.ts'
import { deleteObject } from '../delete-object.ts'
import { allReady, bringUp, POD_TYPE } from '../real-lab.ts'
import { readSuiteManifest } from './manifests.ts'
import { OpensslCertificates } from './suite-certificates.ts'
import { suiteObjects } from './suite-objects.ts'

export const BASES: readonly string[] = ['base/gateway-manifests.yaml', 'base/mesh-manifests.yaml']
const MESH_NAMESPACE = 'gateway-conformance-mesh'

interface HostPort {
  readonly host: string
  readonly port: number
}

const WAYPOINT: Gateway = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'waypoint', namespace: MESH_NAMESPACE },
  spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
}

/** The bases of the suite as a lab of real processes: all of it in the mesh, its mesh namespace behind a waypoint. */
export class TrafficLab implements AsyncDisposable {
  readonly certificates: OpensslCertificates
  readonly #lab: AmbientLab
  readonly #client: ApiClient

  private constructor(lab: AmbientLab, client: ApiClient, certificates: OpensslCertificates) {
    this.#lab = lab
    this.#client = client
    this.certificates = certificates
  }

  static async start(folder: CorpusFolder): Promise<TrafficLab> {
    const lab = new AmbientLab()
    const certificates = new OpensslCertificates()
    try {
      const client = await bringUp(lab, 'gateway-api', await suite(folder, certificates))
      await allReady(client)
      return new TrafficLab(lab, client, certificates)
    } catch (error) {
      certificates[Symbol.dispose]()
      await lab[Symbol.asyncDispose]()
      throw error
    }
  }

  /**
   * Holds while the objects are there, their pods and Gateways ready from before `body` on.
   * @param generations manifests, those of one generation older than those of the next
   */
  async under(generations: readonly (readonly string[])[], body: () => Promise<void>): Promise<void> {
    const written: ManifestResource[] = []
    try {
      for (const texts of generations.filter(({ length }) => length > 0)) {
        if (written.length > 0) await nextSecond()
        const parsed = await Promise.all(texts.map((text) => parseManifest(text, { defaultNamespace: 'default' })))
        const resources = parsed
          .flatMap((manifest) => manifest.resources)
          .map((one) => runnable(one, this.certificates))
        written.push(...resources)
        await applyAll(this.#client, resources)
      }
      if (written.some(({ object }) => object.kind === 'Gateway' || object.kind === 'Deployment'))
        await allReady(this.#client)
      await body()
    } finally {
      for (const resource of written.reverse()) await deleteObject(this.#client, resource)
    }
  }

  /** Where a Gateway listens for one of its ports. @param gateway `namespace/name` */
  async gateway(gateway: string, port: number): Promise<HostPort> {
    const [namespace = '', name = ''] = gateway.split('/')
    const pods = await this.pods(namespace, { 'gateway.networking.k8s.io/gateway-name': name })
    const address = pods.flatMap((pod) => pod.status?.ambientLab?.ports?.[String(port)] ?? [])[0]
    if (!address) throw new Error(`${gateway} does not listen on ${port}`)
    return address
  }

  async pods(namespace: string, labels: Readonly<Record<string, string>>): Promise<readonly Pod[]> {
    const wanted = Object.entries(labels)
    const pods = (await this.#client.list<Pod>(POD_TYPE, { namespace })).items
    return pods.filter(({ metadata }) => wanted.every(([key, value]) => metadata.labels?.[key] === value))
  }

  /** How many lines with this text the pods of a Deployment have written. */
  async linesOf(namespace: string, deployment: string, text: string): Promise<number> {
    const pods = await this.pods(namespace, { app: deployment })
    const logs = pods.map(({ metadata }) =>
      this.#client.text(`/api/v1/namespaces/${namespace}/pods/${metadata.name}/log`),
    )
    return (await Promise.all(logs)).join('\n').split(text).length - 1
  }

  async patch(resource: string, key: string, change: object): Promise<void> {
    const [namespace = '', name = ''] = key.split('/')
    await this.#client.mergePatch({ group: 'discovery.k8s.io', version: 'v1', resource }, { namespace, name }, change)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]()
    this.certificates[Symbol.dispose]()
    await this.#lab[Symbol.asyncDispose]()
  }
}

/** Who is older is told by whole seconds. */
async function nextSecond(): Promise<void> {
  const second = () => Math.floor(systemClock.now() / 1000)
  const start = second()
  await eventually(() => second() > start, { intervalMs: 50 })
}

async function suite(folder: CorpusFolder, certificates: OpensslCertificates): Promise<Resource[]> {
  const parsed = await Promise.all(BASES.map((file) => parseManifest(readSuiteManifest(folder, file))))
  const resources = parsed.flatMap((manifest) => manifest.resources).filter(isPlayed)
  const objects = resources.map((resource) => inMesh(runnable(resource, certificates).object))
  return [...objects, ...suiteObjects(certificates).map(([, object]) => object), WAYPOINT]
}

/** There is no name server to forward to. */
function isPlayed({ object }: ManifestResource): boolean {
  return object.metadata.name !== 'coredns'
}

function inMesh(object: Resource): Resource {
  if (object.kind !== 'Namespace') return object
  const labels = {
    ...object.metadata.labels,
    'istio.io/dataplane-mode': 'ambient',
    ...(object.metadata.name === MESH_NAMESPACE && { 'istio.io/use-waypoint': WAYPOINT.metadata.name }),
  }
  return { ...object, metadata: { ...object.metadata, labels } }
}

/** Files of a Secret that a pod mounts, which a lab does not do: its variables name ours instead. */
function runnable(resource: ManifestResource, certificates: OpensslCertificates): ManifestResource {
  if (resource.object.kind !== 'Deployment') return resource
  const template = (resource.object as Deployment).spec?.template.spec as { volumes?: readonly Volume[] } | undefined
  const secret = template?.volumes?.find((volume) => volume.secret)?.secret
  if (!secret) return resource
  const { certificate, key } = certificates.files(secret.secretName)
  const text = JSON.stringify(resource.object)
    .replaceAll('"/etc/secret-volume/crt"', JSON.stringify(certificate))
    .replaceAll('"/etc/secret-volume/key"', JSON.stringify(key))
  const object = JSON.parse(text) as Deployment
  const pod = object.spec!.template.spec as unknown as { volumes?: unknown; containers: { volumeMounts?: unknown }[] }
  delete pod.volumes
  for (const container of pod.containers) delete container.volumeMounts
  return { ...resource, object }
}

interface Volume {
  readonly secret?: { readonly secretName: string }
}
