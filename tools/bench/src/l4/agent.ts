/**
 * One node's L4 proxy as its own process: the composition of a node agent without its control plane. Started by
 * `ambient.ts`, which tells it over IPC what a control plane would. It runs the pods of its role: `source` has the caller,
 * `destination` the workload behind it, whose container port is the backend.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type HostPort,
  LocalSvids,
  type LocalWorkload,
  LocalWorkloads,
  NodeNetwork,
  WsMtlsTransport,
  Ztunnel,
} from '@ambient-lab/dataplane'
import { CertificateAuthority, SvidSource } from '@ambient-lab/pki'
import { assert, SeededRandom } from '@ambient-lab/std'
import { ACCESS_LOG_TARGET, AccessLog, Logging, MetricsRegistry } from '@ambient-lab/telemetry'
import type { TypeUrl } from '@ambient-lab/xds'
import { CountingClock } from './counting-clock.ts'

/** What the bench says. */
export type Command =
  | {
      readonly do: 'apply'
      readonly typeUrl: TypeUrl
      readonly resources: readonly { name: string; resource: object }[]
    }
  | { readonly do: 'run'; readonly workload: Omit<LocalWorkload, 'dialTarget'>; readonly backend?: HostPort }
  | { readonly do: 'measure' }

/** What the agent answers, in order. */
export type Answer =
  | { readonly addresses: { readonly hbone: HostPort; readonly underlay: HostPort } }
  | { readonly capture: HostPort }
  | Measured

/** After a garbage collection. */
export interface Measured {
  readonly residentBytes: number
  readonly heapBytes: number
  readonly openFiles: number
  readonly timers: number
  /** Connections that move bytes now. */
  readonly moving: number
  /** Lines of the access log: one for each connection that ended, and those of them that tell an error. */
  readonly recorded: number
  readonly failed: number
}

const [role, folder] = process.argv.slice(2)
const clock = new CountingClock()
const random = new SeededRandom(process.pid)
const authority = CertificateAuthority.load(
  { clock },
  JSON.parse(readFileSync(join(folder!, 'authority.json'), 'utf8')),
)
const svids = new SvidSource({
  components: {
    clock,
    random,
    signer: { sign: async (csrPem, ttlSeconds) => authority.signWorkload(csrPem, ttlSeconds) },
  },
})
let recorded = 0
let failed = 0
/** Lines are made as in an agent; where they would be written they are counted. */
const accessLogging = new Logging({
  components: {
    clock,
    sink: (line) => {
      recorded += 1
      if (line.includes('error=')) failed += 1
    },
  },
})
const logging = new Logging({ components: { clock, sink: (line) => process.stderr.write(line) } })
const locals = new LocalWorkloads()
const ztunnel = new Ztunnel({
  node: role!,
  components: {
    clock,
    random,
    locals,
    svids,
    dialer: new NodeNetwork({ clock }),
    transport: new WsMtlsTransport({ clock, svids: new LocalSvids({ locals, svids }) }),
    log: logging.logger('ztunnel'),
    accessLog: new AccessLog(accessLogging.logger(ACCESS_LOG_TARGET)),
    metrics: new MetricsRegistry(),
  },
})

process.on('message', (command: Command) => void obey(command))
process.on('disconnect', () => process.exit(0))
await ztunnel.start()
answer({ addresses: ztunnel.addresses })

async function obey(command: Command): Promise<void> {
  if (command.do === 'apply') {
    const errors = ztunnel.state.apply(command.typeUrl, command.resources, [])
    if (errors.length > 0) throw new Error(JSON.stringify(errors))
    return
  }
  if (command.do === 'measure') return answer(measure())
  const { workload, backend } = command
  const { capture } = await ztunnel.addWorkload({ ...workload, dialTarget: () => backend })
  assert(capture, 'its workloads have no sidecars')
  answer({ capture })
}

function measure(): Measured {
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  return {
    residentBytes: rss,
    heapBytes: heapUsed,
    openFiles: readdirSync('/proc/self/fd').length,
    timers: clock.waiting,
    moving: ztunnel.connectionCount,
    recorded,
    failed,
  }
}

function answer(message: Answer): void {
  process.send!(message)
}
