import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Gateway, getCondition, isConditionTrue, type Pod, type Resource, stringifyYaml } from '@ambient-lab/api'
import { ApiClient } from '@ambient-lab/lab'
import { eventually } from '@ambient-lab/testing'
import type { AmbientLab } from '@ambient-lab/testing/mesh'

export const NODES = ['n1', 'n2'] as const
export const POD_TYPE = { group: '', version: 'v1', resource: 'pods' }

const GATEWAY_TYPE = { group: 'gateway.networking.k8s.io', version: 'v1', resource: 'gateways' }

/** Upper bound of a wait for what takes a fraction of it on an idle machine. */
const READY_TIMEOUT_MS = 20_000

/** Starts two nodes with objects on them, and answers whom to ask for more. */
export async function bringUp(lab: AmbientLab, name: string, objects: readonly Resource[]): Promise<ApiClient> {
  writeFileSync(join(lab.home, 'objects.yaml'), await stringifyYaml([...objects]))
  const spec = { nodes: NODES.map((node) => ({ name: node })), apply: ['objects.yaml'] }
  const labObject = { apiVersion: 'ambient.lab/v1', kind: 'Lab', metadata: { name }, spec }
  writeFileSync(join(lab.home, 'lab.yaml'), await stringifyYaml([labObject]))
  await lab.ok('up', join(lab.home, 'lab.yaml'), '--wait', '--timeout', '60s')
  return ApiClient.fromKubeconfig(join(lab.folder, 'kubeconfig'))
}

/** Until every pod is ready and every Gateway has its proxy; one that is not accepted has none to wait for. */
export async function allReady(client: ApiClient): Promise<void> {
  await eventually(
    async () => {
      const pods = (await client.list<Pod>(POD_TYPE)).items.filter((pod) => !isConditionTrue(pod, 'Ready'))
      const gateways = (await client.list<Gateway>(GATEWAY_TYPE)).items.filter(
        (gateway) => getCondition(gateway, 'Accepted')?.status !== 'False' && !isConditionTrue(gateway, 'Programmed'),
      )
      const pending = [...pods, ...gateways].map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      if (pending.length > 0) throw new Error(`not ready: ${pending.join(', ')}`)
      return true
    },
    { timeoutMs: READY_TIMEOUT_MS, intervalMs: 50 },
  )
}
