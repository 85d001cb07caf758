import { isConditionTrue } from '@ambient-lab/api'
import {
  ADDRESS_TYPE,
  ASSIGNMENT_TYPE,
  contentVersion,
  NODE_TYPE,
  TYPE_URLS,
  type VersionedResources,
} from '@ambient-lab/xds'
import type { SimulatedLab } from '../simulated-lab.ts'
import type { SimulatedNode } from '../simulated-node.ts'

/**
 * Whether both planes agree: every agent holds what the control plane's translation says, acknowledged version by
 * version, its proxy decides by it, and it runs what it is assigned.
 * @returns what is still apart, or undefined
 */
export function findDivergence(lab: SimulatedLab): string | undefined {
  const { controlPlane } = lab
  if (!controlPlane) return 'the control plane is down'
  for (const node of lab.nodes) {
    if (!node.isUp) return `${node.name} is down`
    if (!node.isConnected) return `${node.name} is not connected`
    if (!lab.isNodeReady(node.name)) return `${node.name} is not Ready`
  }
  const busy = controlPlane.idle ? findUnready(lab) : 'a controller is at work'
  if (busy) return busy
  // Last, since it takes the longest.
  for (const node of lab.nodes) {
    const apart = findUnheld(node, controlPlane.resources) ?? findUnapplied(node, controlPlane.resources)
    if (apart) return apart
  }
  return undefined
}

/** Whether following every change led to what one look at the store says. */
export function findStaleTranslation(lab: SimulatedLab): string | undefined {
  const followed = lab.controlPlane!.resources
  const fresh = lab.translateAfresh().resources
  for (const typeUrl of TYPE_URLS) {
    const names = new Set([...followed.names(typeUrl), ...fresh.names(typeUrl)])
    for (const name of names) {
      const [is, should] = [followed.get(typeUrl, name), fresh.get(typeUrl, name)]
      if (is?.version !== should?.version || is?.nodes?.join() !== should?.nodes?.join()) {
        return `${typeUrl} ${name}: ${JSON.stringify(is?.resource)} should be ${JSON.stringify(should?.resource)}`
      }
    }
  }
  return undefined
}

function findUnheld(node: SimulatedNode, resources: VersionedResources): string | undefined {
  for (const typeUrl of TYPE_URLS) {
    const held = node.held(typeUrl)
    const visible = [...resources.names(typeUrl)].filter((name) => {
      const of = resources.get(typeUrl, name)?.nodes
      return of === undefined || of.includes(node.name)
    })
    const missing = visible.find((name) => held.get(name) !== resources.get(typeUrl, name)?.version)
    if (missing) return `${node.name} does not hold ${typeUrl} ${missing}`
    if (held.size > visible.length) {
      const surplus = [...held.keys()].find((name) => !visible.includes(name))
      return `${node.name} still holds ${typeUrl} ${surplus}`
    }
  }
  return undefined
}

/** What the proxy decides by, not what the agent says it took. */
function findUnapplied(node: SimulatedNode, resources: VersionedResources): string | undefined {
  const { current } = node.ztunnel!.state
  for (const name of resources.names(ADDRESS_TYPE)) {
    const { version, resource } = resources.get(ADDRESS_TYPE, name)!
    const isWorkload = 'workload' in (resource as object)
    const applied = isWorkload ? { workload: current.workload(name) } : { service: current.service(name) }
    if (contentVersion(applied) !== version) return `the proxy of ${node.name} has another ${name}`
  }
  for (const name of resources.names(NODE_TYPE)) {
    if (contentVersion(current.node(name)) !== resources.get(NODE_TYPE, name)?.version) {
      return `the proxy of ${node.name} has another node ${name}`
    }
  }
  const running = new Set(node.uids)
  const assigned = [...node.held(ASSIGNMENT_TYPE).keys()]
  const idle = assigned.find((uid) => !running.has(uid))
  if (idle) return `${node.name} does not run ${idle}`
  return running.size > assigned.length ? `${node.name} runs what it was not assigned` : undefined
}

function findUnready(lab: SimulatedLab): string | undefined {
  for (const { metadata, spec } of lab.deployments) {
    const pods = lab.pods.filter((pod) => pod.metadata.labels?.app === metadata.name)
    const ready = pods.filter((pod) => isConditionTrue(pod, 'Ready') && !pod.metadata.deletionTimestamp)
    if (ready.length !== spec?.replicas || pods.length !== ready.length) {
      return `${metadata.name} has ${ready.length} ready pods of ${pods.length}, wants ${spec?.replicas}`
    }
  }
  return undefined
}
