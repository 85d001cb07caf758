import type { Deployment, Node, Pod } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { type Clock, CodedError, formatDuration } from '@ambient-lab/std'
import { isReady, notReadyReason } from './pods.ts'
import { DEPLOYMENTS, NODES, PODS } from './resource-types.ts'
import { waitUntil } from './wait-until.ts'

export interface Readiness {
  readonly nodes: number
  readonly pods: number
}

interface WaitInit {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

/**
 * Until these nodes and every deployment are ready.
 * @throws CodedError TIMEOUT naming what is not, and why
 */
export async function waitForLab(client: ApiClient, nodes: readonly string[], init: WaitInit): Promise<Readiness> {
  const [, deployments] = await Promise.all([waitForNodes(client, nodes, init), waitForDeployments(client, init)])
  return { nodes: nodes.length, pods: deployments }
}

/** The same for every node that there is. */
export async function waitForEverything(client: ApiClient, init: WaitInit): Promise<Readiness> {
  const { items } = await client.list<Node>(NODES, { signal: init.signal })
  return waitForLab(
    client,
    items.map(({ metadata }) => metadata.name),
    init,
  )
}

/** @throws CodedError TIMEOUT naming the nodes that are not ready */
export async function waitForNodes(client: ApiClient, names: readonly string[], init: WaitInit): Promise<void> {
  const missing = (nodes: ReadonlyMap<string, Node>) => names.filter((name) => !isNodeReady(nodes.get(name)))
  await waitUntil<Node>(client, NODES, {
    ...init,
    options: {},
    done: (nodes) => missing(nodes).length === 0,
    describe: (nodes) =>
      lateError(
        missing(nodes).map((name) => `node ${name}`),
        'ambient lab inspect',
        init.timeoutMs,
      ),
  })
}

async function waitForDeployments(client: ApiClient, init: WaitInit): Promise<number> {
  const late = (all: ReadonlyMap<string, Deployment>) =>
    [...all.values()].filter((deployment) => !isRolledOut(deployment))
  try {
    const all = await waitUntil<Deployment>(client, DEPLOYMENTS, {
      ...init,
      options: {},
      done: (deployments) => late(deployments).length === 0,
      describe: (deployments) =>
        lateError(
          late(deployments).map(({ metadata }) => `deploy/${metadata.name}`),
          'ambient get pods -A',
          init.timeoutMs,
        ),
    })
    return [...all.values()].reduce((sum, { spec }) => sum + (spec?.replicas ?? 1), 0)
  } catch (error) {
    throw CodedError.is(error, 'TIMEOUT') ? await withReasons(client, error) : error
  }
}

/** What a time-out should say: which pods, and why. */
async function withReasons(client: ApiClient, error: CodedError): Promise<CodedError> {
  const { items } = await client.list<Pod>(PODS)
  const lines = items.filter((pod) => !isReady(pod)).map((pod) => `  pod/${pod.metadata.name}: ${notReadyReason(pod)}`)
  return new CodedError('TIMEOUT', [error.message, ...lines].join('\n'), { next: error.next ?? 'ambient check' })
}

function lateError(what: readonly string[], next: string, timeoutMs: number): CodedError {
  return new CodedError('TIMEOUT', `not ready after ${formatDuration(timeoutMs)}: ${what.join(', ')}`, { next })
}

export function isNodeReady(node: Node | undefined): boolean {
  return node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
}

export function isRolledOut({ metadata, spec, status }: Deployment): boolean {
  const wanted = spec?.replicas ?? 1
  const observed = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0)
  return observed && (status?.readyReplicas ?? 0) >= wanted && (status?.updatedReplicas ?? 0) >= wanted
}
