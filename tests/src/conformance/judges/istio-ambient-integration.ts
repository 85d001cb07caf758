import { type CallTarget, call } from '../integration/calls.ts'
import type { Call, IntegrationCase } from '../integration/cases.ts'
import { PROTOCOL_OF_PORT, type Protocol } from '../integration/protocols.ts'
import { judgeOutcome } from '../integration/verdict.ts'
import { IntegrationWorld } from '../integration/world.ts'
import { defineJudge, type JudgeContext, skipped, type Verdict } from '../judge.ts'

/** Istio's end-to-end tests of ambient mode: real agents, real requests, one lab for all cases. */
export default defineJudge<IntegrationCase>({
  corpus: 'istio-ambient-integration',
  async judge(item, context) {
    const world = await context.once(starterOf(context))
    const checks: (Verdict & { readonly name: string })[] = []
    const runnable = item.cases.filter((one) => {
      const reason = reasonToSkip(item, one, world)
      if (reason !== undefined) checks.push({ name: one.subtest, ...skipped(reason) })
      return reason === undefined
    })
    if (runnable.length === 0) return { checks }
    const manifests = item.manifests.map((file) => context.folder.text(file))
    await world.under(manifests, item.labels ?? [], async () => {
      for (const one of runnable) checks.push({ name: one.subtest, ...(await judgeCall(one, world)) })
    })
    return { checks }
  },
})

const starters = new WeakMap<JudgeContext, () => Promise<IntegrationWorld>>()

/** One function for each run, since that is what its lab goes by. */
function starterOf(context: JudgeContext): () => Promise<IntegrationWorld> {
  const known = starters.get(context)
  if (known) return known
  const start = () => IntegrationWorld.start(context.folder)
  starters.set(context, start)
  return start
}

const UNCAPTURED = 'echo/uncaptured'
const NEEDS_WAYPOINT = 'needs a waypoint (L7)'
const L4_AREAS = new Set(['authorization-l4', 'peer-authentication', 'reachability'])

function reasonToSkip(item: IntegrationCase, one: Call, world: IntegrationWorld): string | undefined {
  if (one.from === 'ingress') return 'needs an ingress gateway'
  if (world.hasWaypoints) return undefined
  return !L4_AREAS.has(item.area) || item.labels !== undefined || passesWaypoint(one, world)
    ? NEEDS_WAYPOINT
    : undefined
}

/** Captured callers meet the waypoint of the service, or of the pod, that they call; a pod that calls itself does not. */
function passesWaypoint(one: Call, world: IntegrationWorld): boolean {
  if (one.from === UNCAPTURED) return false
  if (one.to !== undefined) return one.to === 'echo/service-addressed-waypoint'
  const target = world.podAt(one.address!).metadata.name
  return target.startsWith('workload-addressed-waypoint-') && target !== callerOf(one, world).metadata.name
}

function callerOf(one: Call, world: IntegrationWorld) {
  const address = /^from \S+ ([\d.]+)\//.exec(one.subtest)?.[1]
  return address === undefined ? world.pod(`${one.from.split('/')[1]}-v1`) : world.podAt(address)
}

async function judgeCall(one: Call, world: IntegrationWorld): Promise<Verdict> {
  return judgeOutcome(await call(targetOf(one, world)), one.expected)
}

function targetOf(one: Call, world: IntegrationWorld): CallTarget {
  const { servicePort } = one.port
  const { method = 'GET', path = '/', headers = {} } = one
  return {
    capture: callerOf(one, world).status!.ambientLab!.capture!,
    host: one.address === undefined ? hostOf(one.to!) : world.podAt(one.address).status!.podIP!,
    port: servicePort,
    protocol: protocolOf(one),
    ...{ method, path, headers },
  }
}

/** `echo/captured` → `captured.echo.svc.cluster.local` */
function hostOf(service: string): string {
  const [namespace, name] = service.split('/')
  return `${name}.${namespace}.svc.cluster.local`
}

function protocolOf({ port }: Call): Protocol {
  return PROTOCOL_OF_PORT[port.workloadPort ?? port.servicePort] ?? (port.protocol === 'TCP' ? 'tcp' : 'http')
}
