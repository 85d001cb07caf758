import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { HostPort } from '@ambient-lab/dataplane'
import { NODE_AGENT_FLAGS } from '@ambient-lab/lab'
import { ADDRESS_TYPE, NODE_TYPE } from '@ambient-lab/xds'
import type { Answer, Command, Measured } from './agent.ts'
import { pinned } from './cores.ts'
import type { Pair, PairInit, Peer } from './pair.ts'
import { cpuSeconds } from './process-usage.ts'

/** Ours: a program's SOCKS5 request, plan, tunnel, policy, record, at both ends. */
export const ambient: Peer = {
  name: 'ambient',
  version: process.version,
  absence: '',
  start: startAmbientPair,
}

/** Our pair, which also tells what its agents counted. */
export interface AmbientPair extends Pair {
  measure(): Promise<{ readonly source: Measured; readonly destination: Measured }>
}

const SERVICE = { ip: '10.96.0.10', port: 80 }

export async function startAmbientPair(
  { certificates, backendPort, cores }: PairInit,
  nodeFlags: readonly string[] = [],
): Promise<AmbientPair> {
  const source = new AgentProcess('source', certificates.folder, cores?.source, nodeFlags)
  const destination = new AgentProcess('destination', certificates.folder, cores?.destination, nodeFlags)
  const nodes = [await source.addresses, await destination.addresses]
  for (const agent of [source, destination]) {
    agent.tell({ do: 'apply', typeUrl: ADDRESS_TYPE, resources: addresses() })
    agent.tell({ do: 'apply', typeUrl: NODE_TYPE, resources: nodes })
  }
  await destination.run(workloadOf('echo', 'destination', '10.244.2.5'), { host: '127.0.0.1', port: backendPort })
  const { port } = await source.run(workloadOf('curl', 'source', '10.244.1.4'))
  const measure = async () => ({ source: await source.measure(), destination: await destination.measure() })
  return {
    door: { port, socks: SERVICE },
    measure,
    async memory() {
      const measured = await measure()
      return measured.source.residentBytes + measured.destination.residentBytes
    },
    cpuSeconds: () => cpuSeconds(source.child.pid!) + cpuSeconds(destination.child.pid!),
    stop() {
      source.child.disconnect()
      destination.child.disconnect()
    },
  }
}

/** The bench's side of an agent's IPC. */
class AgentProcess {
  readonly child: ChildProcess
  readonly addresses: Promise<{ name: string; resource: object }>
  readonly #waiting: ((answer: Answer) => void)[] = []

  constructor(role: string, folder: string, core: number | undefined, nodeFlags: readonly string[]) {
    const flags = ['--conditions=@ambient-lab/source', '--expose-gc', ...NODE_AGENT_FLAGS, ...nodeFlags]
    const [command, args] = pinned(core, process.execPath, [
      ...flags,
      join(import.meta.dirname, 'agent.ts'),
      role,
      folder,
    ])
    this.child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child.on('message', (answer: Answer) => this.#waiting.shift()?.(answer))
    this.addresses = this.#next('addresses').then((addresses) => ({
      name: role,
      resource: { name: role, podCidr: '10.244.0.0/16', status: 'HEALTHY', ...addresses },
    }))
  }

  tell(command: Command): void {
    this.child.send(command)
  }

  async run(workload: ReturnType<typeof workloadOf>, backend?: HostPort): Promise<HostPort> {
    const { uid, name, namespace, serviceAccount, trustDomain, addresses } = workload
    const identity = { trustDomain, namespace, serviceAccount }
    const local = { uid, name, namespace, identity, address: addresses[0]!, captured: true }
    this.tell({ do: 'run', workload: local, ...(backend && { backend }) })
    return this.#next('capture')
  }

  async measure(): Promise<Measured> {
    this.tell({ do: 'measure' })
    return this.#answer() as Promise<Measured>
  }

  async #next<Key extends 'addresses' | 'capture'>(key: Key): Promise<Extract<Answer, Record<Key, unknown>>[Key]> {
    return ((await this.#answer()) as Extract<Answer, Record<Key, unknown>>)[key]
  }

  #answer(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve)
      this.child.once('exit', (code) => reject(new Error(`the agent ended with ${code}`)))
    })
  }
}

function workloadOf(name: string, node: string, address: string) {
  return {
    uid: `Kubernetes//Pod/default/${name}`,
    name,
    namespace: 'default',
    addresses: [address],
    hostname: '',
    network: '',
    tunnelProtocol: 'HBONE',
    trustDomain: 'cluster.local',
    serviceAccount: name,
    node,
    clusterId: 'Kubernetes',
    canonicalName: name,
    canonicalRevision: 'v1',
    workloadType: 'DEPLOYMENT',
    workloadName: name,
    nativeTunnel: false,
    authorizationPolicies: [],
    status: 'HEALTHY',
    services: name === 'echo' ? { 'default/echo.default.svc.cluster.local': [] } : {},
    capacity: 1,
    networkMode: 'STANDARD',
  } as const
}

function addresses(): { name: string; resource: object }[] {
  const workloads = [workloadOf('curl', 'source', '10.244.1.4'), workloadOf('echo', 'destination', '10.244.2.5')]
  const service = {
    name: 'echo',
    namespace: 'default',
    hostname: 'echo.default.svc.cluster.local',
    addresses: [{ network: '', address: SERVICE.ip }],
    ports: [{ servicePort: SERVICE.port, targetPort: 8080, appProtocol: 'UNKNOWN' }],
    subjectAltNames: [],
    ipFamilies: 'AUTOMATIC',
    canonical: true,
    ingressUseWaypoint: false,
    visibility: 'PUBLIC',
  }
  return [
    ...workloads.map((workload) => ({ name: workload.uid, resource: { workload } })),
    { name: `default/${service.hostname}`, resource: { service } },
  ]
}
