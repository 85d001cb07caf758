import { type Pod, type Resource, stringifyYaml } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { processStartMs } from '../l4/process-usage.ts'
import { BenchLab, PODS, type TypedObject } from '../lab/bench-lab.ts'
import { Probe } from '../routes/probe.ts'
import { probesOf, waypointPods } from '../routes/replica-probes.ts'
import { SteadyLoad } from '../routes/steady-load.ts'
import { GATEWAY_LABEL, NAMESPACE, NODES, route, routePath, service, serviceName, WORLD } from '../routes/world.ts'
import { bounded, defineSuite, exact, percentile, type Row, type SuiteContext, told } from '../suite.ts'

const SERVICES_DEFAULT = 1000
const CHANGES_DEFAULT = 200
const PER_SECOND_DEFAULT = 300
const LOAD_GOAL_MS = 1000
const CHANGE_GOAL_MS = 50
/** Services whose routes change, each with a connection through every replica. */
const TARGETS = 5
/** Between two changes, so that one does not hide behind the other's work. */
const REST_MS = 20
/** Between two requests that ask whether a change is live: what a result may be too late by. */
const PROBE_REST_MS = 2
/** While a whole file loads: the requests that ask are not to be its load. */
const FILE_PROBE_REST_MS = 10
const LIVE_TIMEOUT_MS = 10_000
/** From before the command that loads the file. */
const FILE_TIMEOUT_MS = 60_000

const SERVICE_KIND = { group: '', version: 'v1', resource: 'services' }
const GATEWAY_KIND = { group: 'gateway.networking.k8s.io', version: 'v1', resource: 'gateways' }
const ROUTE_KIND = { group: 'gateway.networking.k8s.io', version: 'v1', resource: 'httproutes' }

type Capture = { readonly host: string; readonly port: number }

interface Bench extends SuiteContext {
  readonly lab: BenchLab
  readonly client: ApiClient
  readonly capture: Capture
  readonly services: number
  readonly routes: number
  /** What each route that was changed says now; others say 0. */
  readonly revisions: Map<number, number>
}

/**
 * A thousand services and two thousand routes at a waypoint of three replicas on three nodes: how long all of it takes to
 * load, and, under load, how long a changed route takes to every replica, from the API's answer on.
 */
export default defineSuite({
  name: 'routes',
  summary: '1,000 services, 2,000 routes, 3 replicas: load, and a route changed under load (--set changes=N rate=N)',
  roundsDefault: 1,
  isCheck: true,
  async run(context) {
    const { options } = context
    const services = Number(options.services ?? SERVICES_DEFAULT)
    await using lab = await BenchLab.start({ name: 'routes', nodes: NODES, world: WORLD, readyNamespaces: [NAMESPACE] })
    await lab.ambient('wait', 'gateway/waypoint', '-n', NAMESPACE, '--for=condition=Programmed', '-q')
    const { client } = lab
    const capture = await lab.capture(NAMESPACE, 'caller')
    const bench: Bench = { ...context, lab, client, capture, services, routes: 2 * services, revisions: new Map() }
    const rows = [
      ...(await measureWrites(bench)),
      ...(await measureFile(bench)),
      ...(await measureChanges(bench)),
      await measureRestart(bench),
      await measureReplica(bench),
    ]
    return { versions: {}, rows }
  },
})

/** Everything is applied; a route that changes last of all tells when a replica has caught up. */
async function measureWrites(bench: Bench): Promise<Row[]> {
  const { lab, client, capture, services, routes, revisions, say } = bench
  await client.create(SERVICE_KIND, service(0))
  await client.create(ROUTE_KIND, route(0, services, 0))
  await settled(capture, 0, 0)
  const probes = await probesOf(client, capture, 0)
  const before = lab.usage()
  const startedMs = performance.now()
  await lab.createAll(allButFirst(bench))
  const writtenMs = performance.now()
  revisions.set(0, 1)
  await client.applyPatch(ROUTE_KIND, route(0, services, 1))
  const answeredMs = performance.now()
  const lives = await Promise.all(probes.map((probe) => untilRevision(probe, routePath(0), 1)))
  const liveMs = Math.max(...lives.map(({ receivedMs }) => receivedMs))
  for (const probe of probes) probe.close()
  const after = lab.usage()
  const cost = `processor: control plane ${(after.plane - before.plane).toFixed(2)} s, agents ${(after.agents - before.agents).toFixed(2)} s`
  say(`written after ${ms(writtenMs - startedMs)}, live ${ms(liveMs - answeredMs)} after the last answer; ${cost}`)
  const right = await countRight(bench)
  const writes = services + routes
  return [
    bounded('from the last answer: live on every replica', 'ms', liveMs - answeredMs, LOAD_GOAL_MS),
    { ...told(`${writes} objects written through the API and live`, 'ms', liveMs - startedMs), note: cost },
    told('of it: writes of the API', 'ms', writtenMs - startedMs),
    exact('routes that answer as written', right, routes),
  ]
}

/** Everything but the service and the route that the probes ask for. */
function allButFirst({ services, routes }: Bench): TypedObject[] {
  return [
    ...Array.from({ length: services - 1 }, (_, index) => [SERVICE_KIND, service(index + 1)] as const),
    ...Array.from({ length: routes - 1 }, (_, index) => [ROUTE_KIND, route(index + 1, services, 0)] as const),
  ]
}

/** The same as a person does it: one file, one command. The last document of the file tells when a replica has it. */
async function measureFile(bench: Bench): Promise<Row[]> {
  const { lab, client, capture, services, routes, revisions, say } = bench
  const objects = allButFirst(bench)
  await lab.deleteAll(objects)
  revisions.set(0, 2)
  const file = [...objects.map(([, object]) => object), route(0, services, 2)]
  const path = lab.writeFile('big.yaml', await stringifyYaml(file))
  const probes = await probesOf(client, capture, 0)
  const before = lab.usage()
  const startedMs = performance.now()
  const lives = Promise.all(
    probes.map((probe) =>
      untilRevision(probe, routePath(0), 2, { restMs: FILE_PROBE_REST_MS, timeoutMs: FILE_TIMEOUT_MS }),
    ),
  )
  await lab.ambient('apply', '-f', path, '-q')
  const answeredMs = performance.now()
  const liveMs = Math.max(...(await lives).map(({ receivedMs }) => receivedMs))
  for (const probe of probes) probe.close()
  const after = lab.usage()
  const cost = `processor: control plane ${(after.plane - before.plane).toFixed(2)} s, agents ${(after.agents - before.agents).toFixed(2)} s`
  say(`ambient apply ended after ${ms(answeredMs - startedMs)}, live after ${ms(liveMs - startedMs)}; ${cost}`)
  return [
    {
      ...bounded(
        `load: apply of a file of ${file.length} documents, done and live`,
        'ms',
        Math.max(liveMs, answeredMs) - startedMs,
        LOAD_GOAL_MS,
      ),
      note: cost,
    },
    exact('routes of the file that answer as written', await countRight(bench), routes),
  ]
}

/** A control plane that comes back to all of it: until a change made as soon as it answers is live on every replica. */
async function measureRestart(bench: Bench): Promise<Row> {
  const { lab, client, capture, services, revisions, say } = bench
  const probes = await probesOf(client, capture, 0)
  const revision = 1_000_000
  revisions.set(0, revision)
  const lives = Promise.all(probes.map((probe) => untilRevision(probe, routePath(0), revision)))
  await lab.ambient('restart', 'control-plane')
  await untilAnswered(() => client.applyPatch(ROUTE_KIND, route(0, services, revision)))
  const liveMs = Math.max(...(await lives).map(({ receivedMs }) => receivedMs)) + performance.timeOrigin
  for (const probe of probes) probe.close()
  const [plane] = lab.processes('control-plane')
  const tookMs = liveMs - processStartMs(plane!.pid)
  say(`control plane restarted: a change live ${ms(tookMs)} after the start of its process`)
  return bounded(
    'control plane restarted with all of it: from the start of its process until agents follow it',
    'ms',
    tookMs,
    LOAD_GOAL_MS,
  )
}

async function untilAnswered(ask: () => Promise<unknown>): Promise<void> {
  const deadlineMs = performance.now() + LIVE_TIMEOUT_MS
  for (;;) {
    try {
      await ask()
      return
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await rest(PROBE_REST_MS)
    }
  }
}

async function measureChanges(bench: Bench): Promise<Row[]> {
  const { client, capture, services, revisions, options, say } = bench
  const changes = Number(options.changes ?? CHANGES_DEFAULT)
  const perSecond = Number(options.rate ?? PER_SECOND_DEFAULT)
  const targets = Array.from({ length: TARGETS }, (_, index) => 1 + Math.floor((index * services) / TARGETS))
  const probes = new Map<number, readonly Probe[]>()
  for (const target of targets) probes.set(target, await probesOf(client, capture, target))
  const load = await SteadyLoad.start(capture, { services, perSecond })
  const results: Change[] = []
  const failures: string[] = []
  for (let change = 0; change < changes; change += 1) {
    const target = targets[change % targets.length]!
    const revision = change + 2
    revisions.set(target, revision)
    results.push(
      await measureChange(client, probes.get(target)!, route(target, services, revision), revision, failures),
    )
    await rest(REST_MS)
    if ((change + 1) % 50 === 0) say(`${change + 1} changes, load ${load.perSecond.toFixed(0)}/s`)
  }
  await load.stop()
  for (const probe of [...probes.values()].flat()) probe.close()
  failures.push(...load.failures)
  for (const failure of failures.slice(0, 10)) say(`failed: ${failure}`)
  const probed = results.reduce((sum, { requests }) => sum + requests, 0)
  const note = `${changes} changes, ${load.completed + probed} requests, of them ${load.perSecond.toFixed(0)}/s beside`
  const afterAnswer = results.map(({ liveMs, answeredMs }) => liveMs - answeredMs)
  const fromRequest = results.map(({ liveMs, askedMs }) => liveMs - askedMs)
  const untilAnswer = results.map(({ answeredMs, askedMs }) => answeredMs - askedMs)
  return [
    {
      ...bounded(
        'route changed: live on every replica after the answer, p99',
        'ms',
        percentile(afterAnswer, 99),
        CHANGE_GOAL_MS,
      ),
      note,
    },
    told('route changed: live on every replica after the answer, p50', 'ms', percentile(afterAnswer, 50)),
    told('route changed: from the request on, p99', 'ms', percentile(fromRequest, 99)),
    told('route changed: from the request to the answer, p99', 'ms', percentile(untilAnswer, 99)),
    exact('requests that failed, or went back to an older route', failures.length, 0),
  ]
}

/** A fourth replica starts with nothing; it is ready when it has everything, and from then on gets its share of connections. */
async function measureReplica(bench: Bench): Promise<Row> {
  const { client, routes, say } = bench
  const before = new Set((await waypointPods(client)).map(({ metadata }) => metadata.name))
  const ready = untilReady(client, (pod) => !before.has(pod.metadata.name))
  const annotations = { 'ambient.lab/replicas': String(before.size + 1) }
  await client.mergePatch(GATEWAY_KIND, { namespace: NAMESPACE, name: 'waypoint' }, { metadata: { annotations } })
  const answeredMs = performance.now()
  const readyMs = await ready
  const right = await countRight(bench)
  say(`replica ready ${ms(readyMs - answeredMs)} after the answer; ${right} routes as written`)
  const row = bounded(
    'a replica more: from the answer until it is ready, with everything',
    'ms',
    readyMs - answeredMs,
    LOAD_GOAL_MS,
  )
  return right === routes ? row : { ...row, met: false, note: `${routes - right} routes not as written` }
}

async function untilReady(client: ApiClient, isMeant: (pod: Pod) => boolean): Promise<number> {
  for await (const event of client.watch<Pod>(PODS, { namespace: NAMESPACE, labelSelector: GATEWAY_LABEL })) {
    if (event.type === 'SYNCED') continue
    const pod = event.object
    if (isMeant(pod) && pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')) {
      return performance.now()
    }
  }
  throw new Error('the watch ended')
}

interface Change {
  readonly askedMs: number
  readonly answeredMs: number
  /** When the last replica showed it. */
  readonly liveMs: number
  readonly requests: number
}

/** Every replica is asked again and again, from before the change until it shows. */
async function measureChange(
  client: ApiClient,
  probes: readonly Probe[],
  changed: Resource,
  revision: number,
  failures: string[],
): Promise<Change> {
  const path = `/${changed.metadata.name}`
  const asking = Promise.all(probes.map((probe) => untilRevision(probe, path, revision, { failures })))
  const askedMs = performance.now()
  await client.applyPatch(ROUTE_KIND, changed)
  const answeredMs = performance.now()
  const lives = await asking
  // What has changed stays changed.
  const again = await Promise.all(probes.map((probe) => probe.ask(path)))
  for (const { status, revision: shown } of again) {
    if (status !== 200 || shown !== revision) failures.push(`${path}: ${status}, revision ${shown} after ${revision}`)
  }
  const requests = lives.reduce((sum, live) => sum + live.requests + 1, 0)
  return { askedMs, answeredMs, liveMs: Math.max(...lives.map(({ receivedMs }) => receivedMs)), requests }
}

async function untilRevision(
  probe: Probe,
  path: string,
  revision: number,
  {
    failures = [],
    restMs = PROBE_REST_MS,
    timeoutMs = LIVE_TIMEOUT_MS,
  }: { failures?: string[]; restMs?: number; timeoutMs?: number } = {},
): Promise<{ readonly receivedMs: number; readonly requests: number }> {
  const deadlineMs = performance.now() + timeoutMs
  for (let requests = 1; ; requests += 1) {
    const answer = await probe.ask(path)
    if (answer.status !== 200) failures.push(`${path}: ${answer.status}`)
    if (answer.revision === revision) return { receivedMs: answer.receivedMs, requests }
    if (answer.receivedMs > deadlineMs) throw new Error(`${path}: not live within ${timeoutMs} ms`)
    await rest(restMs)
  }
}

/** Asks every route once, on a connection for each service. */
async function countRight({ capture, services, routes, revisions }: Bench): Promise<number> {
  let right = 0
  for (let index = 0; index < services; index += 1) {
    const probe = await Probe.open(capture, serviceName(index))
    for (let at = index; at < routes; at += services) {
      const { status, revision } = await probe.ask(`${routePath(at)}/x`)
      if (status === 200 && revision === (revisions.get(at) ?? 0)) right += 1
    }
    probe.close()
  }
  return right
}

/** Until the mesh knows the service, and its waypoint the route. */
async function settled(capture: Capture, index: number, revision: number): Promise<void> {
  const deadlineMs = performance.now() + LIVE_TIMEOUT_MS
  for (;;) {
    const probe = await Probe.open(capture, serviceName(index)).catch(() => undefined)
    const answer = await probe?.ask(routePath(index)).catch(() => undefined)
    probe?.close()
    if (answer?.status === 200 && answer.revision === revision) return
    if (performance.now() > deadlineMs) throw new Error(`${serviceName(index)} does not answer: ${answer?.status}`)
    await rest(REST_MS)
  }
}

function rest(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs))
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`
}
