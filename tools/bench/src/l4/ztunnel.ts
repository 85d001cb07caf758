import { spawn, spawnSync } from 'node:child_process'
import { pinned } from './cores.ts'
import { listening, type Pair, type PairInit, type Peer, processPair } from './pair.ts'

const BINARY = process.env.AMBIENT_BENCH_ZTUNNEL
/** It takes no other. */
const SOCKS5_PORT = 15080

/**
 * Istio's ztunnel, built with its feature `testing`, as its Development.md runs it without a cluster: dedicated mode, a CA
 * of its own making, workloads from a file. One process is both ends there, the caller's and the workload's, so its two
 * sides share one core and its figures are those of a pair.
 */
export const ztunnel: Peer = {
  name: 'ztunnel pair',
  version: ztunnelVersion(),
  absence: 'name a binary, built with --features testing, in AMBIENT_BENCH_ZTUNNEL',
  start: startZtunnel,
}

async function startZtunnel({ certificates, backendPort, cores }: PairInit): Promise<Pair> {
  const workloads = certificates.write(
    'ztunnel-workloads.yaml',
    `workloads:
- uid: cluster1//v1/Pod/default/local
  name: local
  namespace: default
  serviceAccount: default
  workloadIps: ["127.0.0.1"]
  protocol: HBONE
  node: local
  network: ""
  services: {}
`,
  )
  const env = {
    ...process.env,
    FAKE_CA: 'true',
    XDS_ADDRESS: '',
    LOCAL_XDS_PATH: workloads,
    NODE_NAME: 'local',
    PROXY_MODE: 'dedicated',
    PROXY_WORKLOAD_INFO: 'default/local/default',
    UNSTABLE_ENABLE_SOCKS5: 'true',
    ZTUNNEL_WORKER_THREADS: '1',
  }
  const [command, args] = pinned(cores?.source, BINARY!, [])
  const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  await listening(SOCKS5_PORT, child)
  return processPair({ port: SOCKS5_PORT, socks: { ip: '127.0.0.1', port: backendPort } }, [child])
}

function ztunnelVersion(): string | undefined {
  if (!BINARY) return undefined
  const { status, stdout } = spawnSync(BINARY, ['version'], { encoding: 'utf8' })
  return status === 0 ? (/version\.BuildInfo\{Version:"([^"]+)"/.exec(stdout)?.[1] ?? 'unknown') : undefined
}
