import { type Container, ENDPOINT_ANNOTATION, type EnvVar } from '@ambient-lab/api'
import { ASSIGNMENT_TYPE, type AssignedContainer, type AssignedFile } from '@ambient-lab/xds'
import { gatewayKeyOf } from '../gateways/gateway-names.ts'
import { CONFIG_MAPS, NAMESPACES, PODS } from '../stored-kinds.ts'
import { ofNamespace } from './dependencies.ts'
import { missingVolumes, mountedFiles, mountersOf } from './mounted-files.ts'
import { podUid } from './pod-workload.ts'
import { defineTranslation } from './translation.ts'
import { wantsCapture } from './view.ts'

/** What a node has to run, for that node alone; until the pod is gone or has finished for good. */
export default defineTranslation({
  name: 'pod-assignment',
  kind: PODS,
  typeUrl: ASSIGNMENT_TYPE,
  translate(pod, view) {
    const { metadata, spec, status } = pod
    const node = spec?.nodeName
    if (!node || !status?.podIP || status.phase === 'Succeeded' || status.phase === 'Failed') return []
    // As with a kubelet: a pod waits for its volumes, one that runs keeps running without them.
    if (status.phase !== 'Running' && missingVolumes(pod, view).length > 0) return []
    const namespace = metadata.namespace ?? ''
    const uid = podUid(namespace, metadata.name, view.mesh.clusterId)
    const endpoint = metadata.annotations?.[ENDPOINT_ANNOTATION]
    const proxy = gatewayKeyOf(metadata)
    const resource = {
      uid,
      name: metadata.name,
      namespace,
      serviceAccount: spec.serviceAccountName ?? 'default',
      address: status.podIP,
      captured: wantsCapture(pod, view.namespace(namespace)),
      labels: metadata.labels ?? {},
      containers: spec.containers.map((container) => assignedContainer(container, mountedFiles(container, pod, view))),
      ...(endpoint && { endpoint }),
      ...(proxy !== undefined && { proxy }),
      generation: metadata.generation ?? 1,
    }
    return [{ name: uid, resource, nodes: [node] }]
  },
  dependencies: { [NAMESPACES]: ofNamespace, [CONFIG_MAPS]: mountersOf },
})

function assignedContainer(container: Container, files: readonly AssignedFile[]): AssignedContainer {
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
    ...(files.length > 0 && { files }),
  }
}

/** Values from ConfigMaps, Secrets and the downward API are not there in a lab. */
function plainVariable({ name, value, valueFrom }: EnvVar): [string, string][] {
  return valueFrom === undefined ? [[name, value ?? '']] : []
}
