import {
  type Container,
  ENDPOINT_ANNOTATION,
  type EnvVar,
  hasSidecar,
  SIDECAR_CONTAINER,
  wantsCapture,
} from '@ambient-lab/api'
import { ASSIGNMENT_TYPE, type AssignedContainer } from '@ambient-lab/xds'
import { gatewayKeyOf } from '../gateways/gateway-names.ts'
import { CONFIG_MAPS, NAMESPACES, PODS } from '../stored-kinds.ts'
import { containerProbe } from './container-probe.ts'
import { ofNamespace } from './dependencies.ts'
import { containerMounts, podVolumes, usersOfMountedConfigMap } from './pod-volumes.ts'
import { podUid } from './pod-workload.ts'
import { defineTranslation } from './translation.ts'

const BYPASS_INBOUND_ANNOTATION = 'ambient.istio.io/bypass-inbound-capture'
const DNS_CAPTURE_ANNOTATION = 'ambient.istio.io/dns-capture'

/** What a node has to run, for that node alone; until the pod is gone or has finished for good. */
export default defineTranslation({
  name: 'pod-assignment',
  kind: PODS,
  typeUrl: ASSIGNMENT_TYPE,
  translate(pod, view) {
    const { metadata, spec, status } = pod
    const node = spec?.nodeName
    if (!node || !status?.podIP || status.phase === 'Succeeded' || status.phase === 'Failed') return []
    const namespace = metadata.namespace ?? ''
    const uid = podUid(namespace, metadata.name, view.mesh.clusterId)
    const endpoint = metadata.annotations?.[ENDPOINT_ANNOTATION]
    const proxy = gatewayKeyOf(metadata)
    const isSidecar = hasSidecar(pod)
    const volumes = podVolumes(spec, (name) => view.get(CONFIG_MAPS, `${namespace}/${name}`))
    const resource = {
      uid,
      name: metadata.name,
      namespace,
      serviceAccount: spec.serviceAccountName ?? 'default',
      address: status.podIP,
      captured: wantsCapture(pod, view.namespace(namespace)),
      ...(metadata.annotations?.[BYPASS_INBOUND_ANNOTATION] === 'true' && { bypassesInboundCapture: true }),
      ...(metadata.annotations?.[DNS_CAPTURE_ANNOTATION] === 'false' && { bypassesDnsCapture: true }),
      labels: metadata.labels ?? {},
      containers: spec.containers
        .filter((container) => !isSidecar || container.name !== SIDECAR_CONTAINER)
        .map(assignedContainer),
      ...(isSidecar && { sidecar: true }),
      ...(volumes && { volumes }),
      ...(endpoint && { endpoint }),
      ...(proxy !== undefined && { proxy }),
      generation: metadata.generation ?? 1,
    }
    return [{ name: uid, resource, nodes: [node] }]
  },
  dependencies: { [NAMESPACES]: ofNamespace, [CONFIG_MAPS]: usersOfMountedConfigMap },
})

function assignedContainer(container: Container): AssignedContainer {
  const mounts = containerMounts(container)
  return {
    name: container.name,
    image: container.image ?? '',
    command: container.command ?? [],
    args: container.args ?? [],
    env: Object.fromEntries((container.env ?? []).flatMap(plainVariable)),
    ports: (container.ports ?? [])
      .filter(({ protocol }) => protocol !== 'SCTP')
      .map(({ name, containerPort, protocol }) => ({
        ...(name && { name }),
        containerPort,
        protocol: protocol === 'UDP' ? 'UDP' : 'TCP',
      })),
    ...(mounts.length > 0 && { mounts }),
    ...probesOf(container),
  }
}

function probesOf(container: Container): Pick<AssignedContainer, 'readiness' | 'liveness' | 'startup'> {
  const readiness = containerProbe(container.readinessProbe, container)
  const liveness = containerProbe(container.livenessProbe, container)
  const startup = containerProbe(container.startupProbe, container)
  return { ...(readiness && { readiness }), ...(liveness && { liveness }), ...(startup && { startup }) }
}

/** Values from ConfigMaps, Secrets and the downward API are not there in a lab. */
function plainVariable({ name, value, valueFrom }: EnvVar): [string, string][] {
  return valueFrom === undefined ? [[name, value ?? '']] : []
}
