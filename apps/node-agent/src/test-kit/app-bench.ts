import { assert, SeededRandom, systemClock } from '@ambient-lab/std'
import { AppContainer } from '../hosting/app-container.ts'
import type { MountedFile } from '../hosting/container-files.ts'
import type { ContainerSpec } from '../hosting/workload.ts'
import { LoopbackMesh } from './loopback-mesh.ts'

export interface RunningApp {
  readonly container: AppContainer
  /** GETs, or whatever `init` says, from the app's port. */
  fetch(path: string, init?: RequestInit): Promise<Response>
}

/** Runs apps of the catalogue in this thread, joined by a LoopbackMesh, each reachable by its name. */
export class AppBench implements AsyncDisposable {
  readonly mesh = new LoopbackMesh()
  readonly #containers: AppContainer[] = []

  async run(
    name: string,
    image: string,
    spec: Partial<ContainerSpec> = {},
    files: readonly MountedFile[] = [],
  ): Promise<RunningApp> {
    const pod = {
      uid: name,
      name: `${name}-pod`,
      namespace: 'default',
      serviceAccount: name,
      address: '10.244.1.1',
      node: 'n1',
      labels: {},
    }
    const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: name }
    let started: AppContainer | undefined
    const dialTarget = (port: number) => started?.ports[String(port)]
    const { capture } = await this.mesh.addWorkload({ ...pod, name, identity, captured: true, dialTarget })
    assert(capture, 'it has no sidecar')
    const container: ContainerSpec = { name, image, command: [], args: [], env: {}, ports: [], ...spec }
    const components = { clock: systemClock, random: new SeededRandom(1) }
    started = await AppContainer.start({ pod, container, capture, files, host: '127.0.0.1' }, components)
    this.#containers.push(started)
    const [port] = Object.values(started.ports)
    const running = started
    return {
      container: running,
      fetch: (path, init) => fetch(`http://${port!.host}:${port!.port}${path}`, { redirect: 'manual', ...init }),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#containers.map((container) => container.stop()))
    await this.mesh[Symbol.asyncDispose]()
  }
}
