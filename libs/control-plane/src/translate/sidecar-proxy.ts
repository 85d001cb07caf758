import { hasSidecar } from '@ambient-lab/api'
import { L7_PROXY_TYPE, type L7Proxy } from '@ambient-lab/xds'
import { histogramBuckets } from '../routing/histogram-buckets.ts'
import { sidecarTelemetry } from '../routing/telemetry.ts'
import { outboundVisibility, sidecarOf } from '../sidecars/sidecar-scope.ts'
import { PODS, SIDECARS, TELEMETRIES } from '../stored-kinds.ts'
import { isPlaced, podUid } from './pod-workload.ts'
import { sidecarsThere } from './sidecar-dependencies.ts'
import { defineTranslation } from './translation.ts'

/** The sidecar of a pod, for the node that runs it. */
export default defineTranslation({
  name: 'sidecar-proxy',
  kind: PODS,
  typeUrl: L7_PROXY_TYPE,
  translate(pod, view) {
    if (!hasSidecar(pod) || !isPlaced(pod)) return []
    const { namespace = '', name, labels = {} } = pod.metadata
    const uid = podUid(namespace, name, view.mesh.clusterId)
    const resource: L7Proxy = {
      ...{ name, namespace, kind: 'sidecar', workloads: [uid], ports: [] },
      ...sidecarTelemetry(pod, view),
      ...histogramBuckets(pod.metadata.annotations),
      outbound: outboundVisibility(sidecarOf(view, namespace, labels), namespace, view),
      pathNormalization: view.mesh.pathNormalization.normalization,
    }
    return [{ name: uid, resource, nodes: [pod.spec!.nodeName!] }]
  },
  dependencies: { [SIDECARS]: sidecarsThere, [TELEMETRIES]: sidecarsThere },
})
