import type { SpiffeId } from '@ambient-lab/pki'
import { CodedError, errorMessage } from '@ambient-lab/std'
import type { AssignedContainer, Assignment, ContainerReport, WorkloadReport } from '@ambient-lab/xds'
import { ChildProgram } from './child-program.ts'
import type { ContainerContext, ContainerObserver, ContainerRunner, HostPort } from './container.ts'
import { mountedFiles } from './container-files.ts'
import type { HostingComponents, HostingInit } from './hosting.ts'
import { findWorkload } from './images.ts'
import { ProbedContainer, probesOf } from './probed-container.ts'
import type { ProxyContainer } from './proxy-container.ts'
import { ExternalEndpoint, MissingImage, parseEndpoint } from './still-containers.ts'
import { VolumeFolder } from './volume-folder.ts'
import type { ContainerSpec, PodIdentity } from './workload.ts'

type Volumes = NonNullable<Assignment['volumes']>

/** As Istio's injection names it. */
const SIDECAR_CONTAINER = 'istio-proxy'

/** One pod of this node: its place in the mesh and its containers. Created started; stopped once. */
export class HostedWorkload {
  readonly identity: SpiffeId
  #assignment: Assignment
  readonly #components: HostingComponents
  readonly #init: HostingInit
  readonly #onChange: () => void
  readonly #createdAtMs: number
  readonly #restarts: number
  #capture: HostPort | undefined
  #dns: HostPort | undefined
  /** Of the pod's own containers. */
  #runners: { readonly name: string; readonly runner: ContainerRunner }[] = []
  #sidecar: ProxyContainer | undefined
  #isInMesh = false
  #failure: string | undefined
  /** Why the containers have to wait. */
  #missing: string | undefined
  #volumes: Volumes = {}
  #volumesAtStart: Volumes = {}
  #volumeFolder: VolumeFolder | undefined
  #stopped = false

  constructor(
    assignment: Assignment,
    components: HostingComponents,
    init: HostingInit & { /** Restarts of earlier lives of this pod. */ readonly restarts: number },
    onChange: () => void,
  ) {
    this.#assignment = assignment
    this.identity = { ...init.trust(), namespace: assignment.namespace, serviceAccount: assignment.serviceAccount }
    this.#components = components
    this.#init = init
    this.#restarts = init.restarts
    this.#onChange = onChange
    this.#createdAtMs = components.clock.now()
  }

  get assignment(): Assignment {
    return this.#assignment
  }

  /** Takes over what may change without a restart, see needsRestart. */
  update(assignment: Assignment): void {
    this.#assignment = assignment
    if (this.#missing !== undefined) this.#startContainers(this.#capture!)
    else this.#remount(assignment)
    this.#onChange()
  }

  get capture(): HostPort | undefined {
    return this.#capture
  }

  get restarts(): number {
    return this.#restarts + this.#all.reduce((sum, { runner }) => sum + runner.state.restarts, 0)
  }

  async start(): Promise<void> {
    const { uid, name, namespace, address, sidecar = false } = this.assignment
    const assigned = () => this.#assignment
    try {
      const added = await this.#components.mesh.addWorkload({
        uid,
        name,
        namespace,
        address,
        // Enrolling a namespace restarts no pod: the ztunnel asks when it matters.
        get captured() {
          return assigned().captured
        },
        get bypassesInboundCapture() {
          return assigned().bypassesInboundCapture ?? false
        },
        get bypassesDnsCapture() {
          return assigned().bypassesDnsCapture ?? false
        },
        hasSidecar: sidecar,
        identity: this.identity,
        dialTarget: (port) => this.#dialTarget(port),
      })
      this.#isInMesh = true
      this.#capture = added.capture
      this.#dns = added.dns
    } catch (error) {
      this.#failure = `the mesh refused the workload: ${errorMessage(error)}`
      return this.#onChange()
    }
    if (this.#stopped) return
    if (sidecar) this.#startSidecar()
    else if (this.#capture) this.#startContainers(this.#capture)
  }

  /** Ends the containers and drains the connections, side by side: what is in flight may end while the app still lives. */
  async stop(): Promise<void> {
    this.#stopped = true
    const { uid } = this.assignment
    for (const { name } of this.#all) this.#event('Normal', 'Killing', `Stopping container ${name}`)
    await Promise.all([
      ...this.#all.map(({ runner }) => runner.stop()),
      this.#isInMesh ? this.#components.mesh.removeWorkload(uid) : undefined,
    ])
    this.#volumeFolder?.[Symbol.dispose]()
  }

  /** @param container @default all of the pod's own, each line with its container's name where there are several */
  async log(linesMax: number, container?: string): Promise<readonly string[]> {
    const wanted = container === undefined ? this.#runners : this.#all.filter(({ name }) => name === container)
    const logs = await Promise.all(
      wanted.map(async ({ name, runner }) => ({ name, lines: await runner.log(linesMax) })),
    )
    if (logs.length === 1) return logs[0]!.lines
    return logs.flatMap(({ name, lines }) => lines.map((line) => `[${name}] ${line}`)).slice(-linesMax)
  }

  get report(): WorkloadReport {
    const states = this.#all.map(({ runner }) => runner.state)
    const waiting = states.find(({ phase, reason }) => phase === 'waiting' && reason !== '')
    const failed = states.find(({ phase, reason }) => phase === 'terminated' && reason === 'Error')
    const everStarted = states.some(({ startedAtMs }) => startedAtMs > 0)
    const speaking = failed ?? waiting ?? states.find(({ message }) => message !== '')
    const pid = states.find((state) => state.pid !== undefined)?.pid
    const own = states.find((state) => state.certificate)?.certificate
    const certificate = own ?? (this.assignment.captured ? this.#components.certificateOf(this.identity) : undefined)
    return {
      uid: this.assignment.uid,
      phase: this.#failure || failed ? 'Failed' : everStarted ? 'Running' : 'Pending',
      ready: !this.#stopped && this.#runners.length > 0 && states.every(({ ready }) => ready),
      reason: this.#failure ? 'Error' : (speaking?.reason ?? (states.length === 0 ? 'ContainerCreating' : '')),
      message: this.#failure ?? this.#missing ?? speaking?.message ?? '',
      restarts: this.restarts,
      startedAtMs: this.#createdAtMs,
      captured: this.#capture !== undefined && this.assignment.captured,
      ...(this.#capture ? { capture: this.#capture } : {}),
      ...(this.#dns ? { dns: this.#dns } : {}),
      ports: Object.assign({}, ...states.map(({ ports }) => ports)),
      ...(pid === undefined ? {} : { pid }),
      ...(certificate ? { certificate } : {}),
      ...(this.#sidecar && { containers: this.#all.map(containerReport) }),
    }
  }

  get #all(): readonly { readonly name: string; readonly runner: ContainerRunner }[] {
    return this.#sidecar ? [...this.#runners, { name: SIDECAR_CONTAINER, runner: this.#sidecar }] : this.#runners
  }

  /** The pod's own containers wait for it: without it they would have no way out. */
  #startSidecar(): void {
    const observer = { ...this.#observer, onChange: () => this.#sidecarChanged() }
    this.#sidecar = this.#components.proxies.runSidecar(this.assignment, this.identity, observer)
    this.#onChange()
  }

  #sidecarChanged(): void {
    const capture = this.#sidecar?.capture
    if (capture && !this.#capture && !this.#stopped) {
      this.#capture = capture
      this.#startContainers(capture)
    }
    this.#onChange()
  }

  #containersChanged(): void {
    this.#sidecar?.setTargets(this.#ownPorts)
    this.#onChange()
  }

  get #ownPorts(): Readonly<Record<string, HostPort>> {
    return Object.assign({}, ...this.#runners.map(({ runner }) => runner.state.ports))
  }

  #startContainers(capture: HostPort): void {
    const { endpoint, containers, proxy, volumes = {} } = this.assignment
    if (endpoint !== undefined) {
      this.#startEndpoint(endpoint)
      return
    }
    if (proxy !== undefined) {
      const runner = this.#components.proxies.run({ ...this.assignment, proxy }, this.identity, this.#observer)
      this.#runners = [{ name: containers[0]?.name ?? 'istio-proxy', runner }]
      this.#onChange()
      return
    }
    if (this.#isMissing() || !this.#makeFolders(containers, volumes)) return this.#onChange()
    this.#volumes = volumes
    this.#volumesAtStart = volumes
    // The worker is sent a copy: only what a container needs.
    const { uid, name, namespace, serviceAccount, address, labels } = this.assignment
    const pod: PodIdentity = { uid, name, namespace, serviceAccount, address, labels, node: this.#init.node }
    this.#runners = containers.map((container) => ({
      name: container.name,
      runner: this.#runProbed(container, { pod, spec: containerSpec(container), capture }),
    }))
    this.#containersChanged()
  }

  /** As the kubelet: nothing starts before every volume can be mounted; one that goes away later stays as it was. */
  #isMissing(): boolean {
    const missing = Object.values(this.assignment.volumes ?? {}).find((volume) => volume.missing !== undefined)?.missing
    if (missing !== undefined && missing !== this.#missing) this.#event('Warning', 'FailedMount', missing)
    this.#missing = missing
    return missing !== undefined
  }

  #remount({ containers, volumes = {} }: Assignment): void {
    const present = Object.entries(volumes).filter(([, { missing }]) => missing === undefined)
    const current = { ...this.#volumes, ...Object.fromEntries(present) }
    if (JSON.stringify(current) === JSON.stringify(this.#volumes)) return
    this.#volumes = current
    try {
      this.#volumeFolder?.write(current)
    } catch (error) {
      this.#event('Warning', 'FailedMount', errorMessage(error))
    }
    for (const { name, runner } of this.#runners) {
      const container = containers.find((one) => one.name === name)
      if (container) runner.mount?.(mountedFiles(container, this.#volumes, this.#volumesAtStart))
    }
  }

  /** Programs need real files. @returns whether they are there */
  #makeFolders(containers: readonly AssignedContainer[], volumes: Volumes): boolean {
    const needsFiles = ({ image, mounts = [] }: AssignedContainer) =>
      !findWorkload(image) && mounts.some(({ volume }) => volumes[volume])
    if (!containers.some(needsFiles)) return true
    try {
      this.#volumeFolder = new VolumeFolder(this.#init.volumesDir, volumes)
      return true
    } catch (error) {
      this.#failure = `volumes cannot be written: ${errorMessage(error)}`
      this.#event('Warning', 'FailedMount', this.#failure)
      return false
    }
  }

  /** Where a program finds the volumes that it mounts. */
  #volumePaths({ mounts = [] }: AssignedContainer): Readonly<Record<string, string>> {
    const folder = this.#volumeFolder
    if (!folder) return {}
    const mounted = mounts.filter(({ volume }) => this.#volumes[volume])
    return Object.fromEntries(mounted.map(({ volume }) => [volume, folder.pathOf(volume)]))
  }

  #startEndpoint(text: string): void {
    const endpoint = parseEndpoint(text)
    if (!endpoint) {
      this.#failure = `ambient.lab/endpoint: "${text}" is not host:port`
      this.#event('Warning', 'InvalidEndpoint', this.#failure)
    } else {
      const ports = this.assignment.containers.flatMap((container) => containerSpec(container).ports)
      const runner = new ExternalEndpoint(endpoint, ports, this.#observer, this.#components)
      this.#runners = [{ name: 'endpoint', runner }]
    }
    this.#containersChanged()
  }

  #runProbed(container: AssignedContainer, context: ContainerContext): ContainerRunner {
    const probes = probesOf(container)
    if (!probes) return this.#run(container, context, this.#observer)
    const create = (observer: ContainerObserver) => this.#run(container, context, observer)
    return new ProbedContainer(create, { name: container.name, probes }, this.#observer, this.#components)
  }

  /** Our own app where the image is known, else the command as a process, else nothing can run. */
  #run(container: AssignedContainer, context: ContainerContext, observer: ContainerObserver): ContainerRunner {
    const { image, command } = container
    if (findWorkload(image)) {
      const files = mountedFiles(container, this.#volumes)
      return this.#components.simulated.run({ ...context, files }, observer)
    }
    if (command.length > 0) {
      const volumePaths = this.#volumePaths(container)
      return new ChildProgram({ ...context, volumePaths }, observer, this.#components, { host: this.#init.host })
    }
    return new MissingImage(image, observer)
  }

  readonly #observer: ContainerObserver = {
    onChange: () => this.#containersChanged(),
    onEvent: (severity, reason, message) => this.#event(severity, reason, message),
  }

  #event(severity: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#components.onEvent({
      atMs: this.#components.clock.now(),
      severity,
      reason,
      message,
      uid: this.assignment.uid,
    })
  }

  #dialTarget(port: number): HostPort | undefined {
    for (const { runner } of this.#runners) {
      const target = runner.state.ports[String(port)]
      if (target) return target
    }
    return undefined
  }
}

function containerReport({ name, runner }: { name: string; runner: ContainerRunner }): ContainerReport {
  const { ready, phase, reason, message, restarts } = runner.state
  return { name, ready, phase, reason, message, restarts }
}

function containerSpec(container: AssignedContainer): ContainerSpec {
  const { name, image, command, args, env } = container
  const ports = container.ports.filter(({ protocol }) => protocol === 'TCP').map(({ containerPort }) => containerPort)
  return { name, image, command, args, env, ports }
}

/** Whether two assignments of one uid can share one life, or the pod has to start anew. */
export function needsRestart(before: Assignment, after: Assignment): boolean {
  const essence = (assignment: Assignment) => {
    const {
      labels: _,
      captured: __,
      bypassesInboundCapture: ___,
      bypassesDnsCapture: ____,
      volumes: _____,
      ...rest
    } = assignment
    return JSON.stringify(rest)
  }
  return essence(before) !== essence(after)
}

/** Refuses what no node could run. @throws CodedError INVALID_ASSIGNMENT */
export function checkAssignment(assignment: Assignment): void {
  const names = assignment.containers.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new CodedError('INVALID_ASSIGNMENT', `two containers are named ${twice}`)
  const ports = assignment.containers.flatMap((container) => containerSpec(container).ports)
  const taken = ports.find((port, index) => ports.indexOf(port) !== index)
  if (taken !== undefined) throw new CodedError('INVALID_ASSIGNMENT', `two containers listen on ${taken}`)
}
