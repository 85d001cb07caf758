import type { Deployment } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { isRolledOut } from './ready.ts'
import { DEPLOYMENTS } from './resource-types.ts'
import { waitUntil } from './wait-until.ts'

/** Annotation of a pod template that makes new pods, as kubectl rollout restart sets it. */
const TEMPLATE_RESTARTED_AT = 'kubectl.kubernetes.io/restartedAt'

export interface DeploymentName {
  readonly name: string
  readonly namespace: string
}

/** New pods for a deployment, one after the other. */
export async function restartDeployment(
  context: CommandContext,
  client: ApiClient,
  target: DeploymentName,
): Promise<void> {
  const restartedAt = new Date(context.clock.now()).toISOString()
  const patch = { spec: { template: { metadata: { annotations: { [TEMPLATE_RESTARTED_AT]: restartedAt } } } } }
  await client.mergePatch(DEPLOYMENTS, target, patch, { signal: context.signal })
}

/** Until the deployment has as many ready pods of its present template as it wants. @throws CodedError TIMEOUT */
export async function waitForDeployment(
  context: CommandContext,
  client: ApiClient,
  target: DeploymentName,
): Promise<void> {
  const { flags, clock, signal } = context
  await waitUntil<Deployment>(client, DEPLOYMENTS, {
    options: { namespace: target.namespace, fieldSelector: `metadata.name=${target.name}` },
    done: (deployments) => deployments.size > 0 && [...deployments.values()].every(isRolledOut),
    describe: (deployments) => {
      const status = [...deployments.values()][0]?.status
      const ready = `${status?.readyReplicas ?? 0} of ${status?.replicas ?? 0} ready`
      return new CodedError('TIMEOUT', `deploy/${target.name}: ${ready}`, {
        next: `ambient get pods -n ${target.namespace}`,
      })
    },
    timeoutMs: flags.durationMs('timeout') ?? 0,
    clock,
    signal,
  })
}
