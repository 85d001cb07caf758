import { readFileSync } from 'node:fs'
import type { AmbientLab } from '@ambient-lab/testing/mesh'

/** The parts of the command's JSON that tests read. */
export interface Item<Spec = Record<string, unknown>> {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> }
  readonly spec: Spec
  readonly status?: Record<string, unknown>
}

export interface Connection {
  readonly id: string
  readonly traceId: string
  readonly node: string
  readonly direction: 'inbound' | 'outbound'
  readonly protocol: 'HBONE' | 'TCP'
  readonly source: { readonly workload: string; readonly identity: string; readonly address: string }
  readonly destination: {
    readonly workload: string
    readonly identity: string
    readonly service: string
    readonly hboneAddress: string
  }
  readonly state: 'open' | 'closed' | 'failed'
  readonly responseFlags: string
  readonly error: string
}

export interface Process {
  readonly role: string
  readonly name: string
  readonly pid: number
  readonly alive: boolean
}

export interface NodeStatus {
  readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[]
  readonly agent?: {
    readonly pid: number
    readonly hbone: { readonly host: string; readonly port: number }
    readonly ports: Readonly<Record<string, number>>
  }
}

export async function items<Spec>(lab: AmbientLab, ...args: string[]): Promise<readonly Item<Spec>[]> {
  return (await lab.json<{ items: readonly Item<Spec>[] }>('get', ...args)).items
}

export async function connections(lab: AmbientLab): Promise<readonly Connection[]> {
  return (await items<Connection>(lab, 'connections', '-A')).map(({ spec }) => spec)
}

export async function node(lab: AmbientLab, name: string): Promise<NodeStatus> {
  const found = (await items(lab, 'nodes')).find(({ metadata }) => metadata.name === name)
  if (!found) throw new Error(`no node ${name}`)
  return found.status as unknown as NodeStatus
}

export async function isReady(lab: AmbientLab, name: string): Promise<boolean> {
  return (await node(lab, name)).conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
}

export async function processes(lab: AmbientLab): Promise<readonly Process[]> {
  return (await lab.json<{ items: readonly Process[] }>('lab', 'inspect')).items
}

export function get(lab: AmbientLab, url: string): Promise<{ code: number; stdout: string; stderr: string }> {
  return lab.run([
    'exec',
    'deploy/curl',
    '--',
    'curl',
    '-sS',
    '--max-time',
    '10',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    url,
  ])
}

/** A process that ended and whose parent has not asked yet (a zombie) runs no more. */
export function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)![0] !== 'Z'
  } catch {
    return false
  }
}
