import type { CertificateAuthority } from '@ambient-lab/pki'
import { type Clock, type Random, Scope } from '@ambient-lab/std'
import {
  type AgentMessage,
  type ControlPlaneMessage,
  LINK_FAULT_TYPE,
  type MessageLink,
  VersionedResources,
} from '@ambient-lab/xds'
import { AnalysisService } from './analysis.ts'
import type { ApiServerHooks } from './api-server/hooks.ts'
import { CaService } from './ca-service.ts'
import { certificateRevocations } from './certificate-revocation.ts'
import { Cluster } from './cluster.ts'
import { BackendTlsStatusController } from './controllers/backend-tls-status.ts'
import { CaConfigMapController } from './controllers/ca-config-map.ts'
import { type Controller, ControllerRunner } from './controllers/controller.ts'
import { DeploymentController } from './controllers/deployment.ts'
import { EndpointSliceController } from './controllers/endpoint-slice.ts'
import { FaultController } from './controllers/fault.ts'
import { GarbageCollector } from './controllers/garbage-collector.ts'
import { GatewayController } from './controllers/gateway.ts'
import { createGatewayClasses, GatewayClassController } from './controllers/gateway-class.ts'
import { GatewayStatusController } from './controllers/gateway-status.ts'
import { L4PolicyStatusController } from './controllers/l4-policy-status.ts'
import { LabStatusController } from './controllers/lab-status.ts'
import { LoadController } from './controllers/load.ts'
import { createInitialNamespaces, NamespaceController } from './controllers/namespace.ts'
import { NodeController } from './controllers/node.ts'
import { PodLifecycleController } from './controllers/pod-lifecycle.ts'
import { PolicyStatusController } from './controllers/policy-status.ts'
import { ReplicaSetController } from './controllers/replica-set.ts'
import { RouteStatusController } from './controllers/route-status.ts'
import { SchedulingController } from './controllers/scheduling.ts'
import { ServiceController } from './controllers/service.ts'
import { ServiceEntryController } from './controllers/service-entry.ts'
import { WaypointEffectStatusController } from './controllers/waypoint-effect-status.ts'
import { WaypointPolicyStatusController } from './controllers/waypoint-policy-status.ts'
import { WaypointStatusController } from './controllers/waypoint-status.ts'
import { DiscoveryService } from './discovery-service.ts'
import { EntryAddresses } from './entry-addresses.ts'
import { EventRecorder } from './events.ts'
import { JoinService } from './join.ts'
import { type ControlPlaneLog, SILENT_LOG } from './log.ts'
import { MeshAuthority } from './mesh-authority.ts'
import { MESH_CONFIG_DEFAULT, type MeshConfig } from './mesh-config.ts'
import { MeshSettings } from './mesh-settings.ts'
import { NodeInventory } from './nodes.ts'
import { PathReviewService } from './path-review.ts'
import { deservesGrace } from './pod-termination.ts'
import { PolicyReplayService } from './policy-replay.ts'
import { RootRotationService } from './root-rotation.ts'
import { ServiceAddresses } from './service-addresses.ts'
import { serviceAdmission } from './service-admission.ts'
import { sidecarAdmission } from './sidecars/sidecar-admission.ts'
import type { Store } from './store/store.ts'
import { NAMESPACES, PODS } from './stored-kinds.ts'
import { telemetryAdmission } from './telemetry-admission.ts'
import { TrafficService } from './traffic-service.ts'
import { LiveView } from './translate/live-view.ts'
import { Translator } from './translate/translator.ts'
import { trustRoots } from './trust-roots.ts'

export interface ControlPlaneComponents {
  /** Stays with whoever made it. */
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly authority: CertificateAuthority
  /** @default nothing is logged */
  readonly log?: ControlPlaneLog
}

export interface ControlPlaneInit {
  /** The lab's version, which agents have to share. */
  readonly version: string
  /** @default MESH_CONFIG_DEFAULT with the authority's trust domain */
  readonly mesh?: Partial<MeshConfig>
  /** @default RECONNECT_GRACE_MS */
  readonly reconnectGraceMs?: number
  /** Where the API listens, for join tokens; asked when one is made. */
  readonly apiUrl?: () => string
}

/**
 * Everything between the store and the links to the agents: controllers, translation, discovery, certificates. Opens no
 * socket and reads no file: a process adds the API server and the listener, a simulation memory links.
 */
export class ControlPlane implements AsyncDisposable {
  readonly cluster: Cluster
  readonly resources = new VersionedResources()
  readonly discovery: DiscoveryService
  readonly ca: CaService
  readonly join: JoinService
  readonly #scope = new Scope('control plane')
  readonly #addresses: ServiceAddresses
  readonly #traffic: TrafficService
  readonly #reviews: PathReviewService
  readonly #replays: PolicyReplayService
  readonly #analyses: AnalysisService
  readonly #runner: ControllerRunner
  readonly #settings: MeshSettings
  readonly #mesh: MeshAuthority

  constructor(components: ControlPlaneComponents, init: ControlPlaneInit) {
    const { authority, clock, random, log = SILENT_LOG } = components
    const cluster = new Cluster(components)
    const onError = (message: string) => log.warn('controller failed, will try again', { reason: message })
    this.cluster = cluster
    const events = this.#scope.own(new EventRecorder(cluster))
    const started = { ...MESH_CONFIG_DEFAULT, trustDomain: authority.trustDomain, ...init.mesh }
    this.#settings = this.#scope.own(new MeshSettings({ cluster, events }, started))
    const { mesh } = this.#settings
    const inventory = this.#scope.own(new NodeInventory(cluster))
    this.#addresses = this.#scope.own(new ServiceAddresses(cluster))
    const translator = this.#scope.own(new Translator({ cluster, resources: this.resources, mesh }))
    this.#settings.onChange.on(() => translator.refresh())
    this.#mesh = this.#scope.own(
      new MeshAuthority(
        { cluster, events, resources: this.resources },
        { own: authority, rootNamespace: mesh.rootNamespace },
      ),
    )
    this.ca = new CaService({ authority, mesh: this.#mesh, inventory })
    const faults = this.#scope.own(
      new FaultController({ cluster, programmedNodes: (type, name) => this.discovery.programmedNodes(type, name) }),
    )
    const loads = new LoadController({ cluster }, { mesh })
    const controllers = this.#controllers({ cluster, events, inventory }, [faults, loads], mesh)
    this.#runner = this.#scope.own(new ControllerRunner(cluster, controllers, { clock, random, onError }))
    this.discovery = this.#scope.own(
      new DiscoveryService(
        {
          ...{ cluster, random, resources: this.resources, inventory, ca: this.ca, events, log },
          handlers: {
            onLoadProgress: (node, progress) => loads.progress(node, progress),
            onAcknowledge: async (typeUrl) => {
              if (typeUrl === LINK_FAULT_TYPE) await faults.acknowledged()
            },
          },
        },
        { ...init, mesh },
      ),
    )
    const apiUrl = init.apiUrl ?? (() => '')
    this.join = new JoinService({ cluster, ca: this.ca, mesh, apiUrl }, init)
    const sessions = () => this.discovery.sessions
    this.#traffic = new TrafficService({ sessions, mesh })
    this.#analyses = new AnalysisService({ cluster, mesh })
    this.#reviews = new PathReviewService({ cluster, mesh, sessions })
    this.#replays = new PolicyReplayService({ cluster, mesh, resources: this.resources, sessions })
  }

  /** Writes what every lab has, and begins to work. */
  async start(): Promise<void> {
    this.#runner.start()
    await this.#settings.start()
    await Promise.all([createInitialNamespaces(this.cluster), createGatewayClasses(this.cluster)])
  }

  /** Serves an agent. @param node as its certificate names it */
  acceptAgent(link: MessageLink<AgentMessage, ControlPlaneMessage>, node: string): void {
    this.discovery.accept(link, node)
  }

  /** Nothing is to be done or written: a simulation may look. */
  get idle(): boolean {
    return this.#runner.idle && this.discovery.idle
  }

  /** What this control plane plugs into an API server; whoever listens adds the upgrade to /discovery. */
  apiHooks(): ApiServerHooks {
    return {
      virtual: {
        'ambient.lab/connections': this.#traffic.connections,
        'ambient.lab/edges': this.#traffic.edges,
        'ambient.lab/trustroots': trustRoots({ cluster: this.cluster, mesh: this.#mesh }),
        'ambient.lab/requests': this.#traffic.requests,
      },
      createOnly: {
        'ambient.lab/jointokens': this.join.createToken,
        'ambient.lab/analyses': this.#analyses.create,
        'ambient.lab/pathreviews': this.#reviews.create,
        'ambient.lab/policyreplays': this.#replays.create,
        'ambient.lab/rootrotations': new RootRotationService({ cluster: this.cluster, mesh: this.#mesh }).create,
        'ambient.lab/certificaterevocations': certificateRevocations(this.#mesh),
      },
      subresources: { '/pods/log': this.#traffic.podLog },
      plainRoutes: { 'GET /cacerts': this.join.caCertificates, 'POST /join': this.join.joinRoute },
      admission: [
        serviceAdmission(this.#addresses),
        sidecarAdmission(this.cluster),
        telemetryAdmission(),
        this.#mesh.admission,
      ],
      graceSeconds: {
        [NAMESPACES]: () => 1,
        [PODS]: (pod) => (deservesGrace(this.cluster, pod as never) ? 1 : 0),
      },
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.dispose()
  }

  #controllers(
    components: { cluster: Cluster; events: EventRecorder; inventory: NodeInventory },
    given: readonly Controller[],
    mesh: MeshConfig,
  ): Controller[] {
    const view = this.#scope.own(new LiveView(components.cluster, mesh))
    return [
      new NodeController(components),
      new NamespaceController(components),
      new ServiceController({ ...components, addresses: this.#addresses }),
      new ServiceEntryController({ ...components, addresses: this.#scope.own(new EntryAddresses(components.cluster)) }),
      new DeploymentController(components),
      new ReplicaSetController(components),
      new SchedulingController(components),
      this.#scope.own(new PodLifecycleController(components)),
      new EndpointSliceController(components),
      new GarbageCollector(components),
      new CaConfigMapController({ ...components, mesh: this.#mesh }),
      new PolicyStatusController(components, mesh),
      new L4PolicyStatusController(components),
      new WaypointStatusController(components, mesh),
      new GatewayClassController(components),
      new GatewayController(components, mesh),
      new GatewayStatusController({ ...components, view }),
      new RouteStatusController({ ...components, view }),
      new WaypointPolicyStatusController({ ...components, view }),
      new WaypointEffectStatusController({ ...components, view }),
      new BackendTlsStatusController({ ...components, view }),
      this.#scope.own(new LabStatusController(components)),
      ...given,
    ]
  }
}
