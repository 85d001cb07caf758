import { hostname, userInfo } from 'node:os'
import { createInterface } from 'node:readline/promises'
import type { Connection, Fault, FaultType, Node, Pod } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError, formatDuration, sleep } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { durationMs } from '../cli/flag-values.ts'
import { nearest } from '../cli/nearest.ts'
import { didYouMean, usageError } from '../cli/usage-error.ts'
import { count } from './bring-up.ts'
import { CONNECTIONS, FAULTS, NODES, PODS } from './resource-types.ts'

type FaultSpec = NonNullable<Fault['spec']>

/** What each fault models, for people who will compare it with a network. */
export const FAULT_HONESTY: Readonly<Record<FaultType, string>> = {
  'link.delay':
    'bytes between the two nodes are held back in user space, in order, on each tunnel and pool connection; no packet is late by itself',
  partition:
    'bytes between the two sides are held until the fault ends, and new connections fail; no TCP reset is sent, as with a cut cable',
  'node.kill': 'SIGKILL to the node’s agent, held down until the fault ends; the machine below it goes on',
}

const TYPES = Object.keys(FAULT_HONESTY) as FaultType[]

const FOREVER = 'forever'
/** The owner of a held fault renews at less than half of this. */
const LEASE_SECONDS = 5
const RENEW_MS = 2_000

/** The object that the command line means. @throws CodedError USAGE */
export function newFault({ args, flags, env }: Pick<CommandContext, 'args' | 'flags' | 'env'>): Fault {
  const [word = ''] = args
  const type = TYPES.find((candidate) => candidate === word)
  if (!type)
    throw usageError(`there is no fault "${word}"${didYouMean(nearest(word, TYPES))}`, `one of: ${TYPES.join(', ')}`)
  const spec: FaultSpec = {
    type,
    ...(type === 'node.kill' ? nodeTarget(args) : linkTarget(type, args, flags)),
    ...(type === 'link.delay' ? { params: delayParams(flags) } : {}),
    duration: faultDuration(flags.text('for')),
    owner: `${env.USER ?? userInfo().username}@${hostname()}`,
  }
  return { apiVersion: 'ambient.lab/v1', kind: 'Fault', metadata: { name: '' }, spec }
}

function faultDuration(text: string | undefined): string {
  if (text === undefined) throw usageError('--for is required: every fault ends', '--for 3m, or --for forever')
  return text === FOREVER ? FOREVER : formatDuration(durationMs(text, '--for'))
}

function nodeTarget(args: readonly string[]): Partial<FaultSpec> {
  const node = args[1]?.replace(/^(node|no)\//, '')
  if (node === undefined || args.length > 2)
    throw usageError('node.kill takes one node', 'ambient fault add node.kill n2 --for 30s')
  return { node }
}

function linkTarget(type: FaultType, args: readonly string[], flags: CommandContext['flags']): Partial<FaultSpec> {
  const [, from, to] = args
  if (from === undefined || to === undefined) {
    throw usageError(`${type} takes two sides`, `ambient fault add ${type} n1 n2,n3 --for 30s`)
  }
  const oneway = flags.boolean('oneway') || flags.text('shape') === 'oneway'
  return { from: from.split(','), to: to.split(','), ...(oneway ? { oneway } : {}) }
}

function delayParams(flags: CommandContext['flags']): Readonly<Record<string, string>> {
  const delayMs = flags.durationMs('delay')
  const jitterMs = flags.durationMs('jitter')
  if (delayMs === undefined) throw usageError('link.delay needs --delay', '--delay 120ms')
  return { delay: formatDuration(delayMs), ...(jitterMs === undefined ? {} : { jitter: formatDuration(jitterMs) }) }
}

/** Every node that a fault names. */
export function nodesOf({ spec }: Fault): string[] {
  return spec?.node === undefined ? [...(spec?.from ?? []), ...(spec?.to ?? [])] : [spec.node]
}

export interface Radius {
  readonly nodes: number
  readonly nodesTotal: number
}

/**
 * Says what is touched now, before anything is.
 * @throws CodedError NOT_FOUND when the fault names a node that is not there
 */
export async function printRadius({ io, signal }: CommandContext, client: ApiClient, fault: Fault): Promise<Radius> {
  const [nodes, pods, connections] = await Promise.all([
    client.list<Node>(NODES, { signal }),
    client.list<Pod>(PODS, { signal }),
    client.list<Connection>(CONNECTIONS, { signal }).catch(() => ({ items: [] as readonly Connection[] })),
  ])
  const touched = nodesOf(fault)
  const known = nodes.items.map(({ metadata }) => metadata.name)
  const unknown = touched.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    const next = `one of: ${known.join(', ')}`
    throw new CodedError('NOT_FOUND', `there is no node ${unknown}${didYouMean(nearest(unknown, known))}`, { next })
  }
  const workloads = pods.items.filter(({ spec }) => touched.includes(spec?.nodeName ?? ''))
  // Each connection is listed twice, by its source's ztunnel and by its destination's; one of them counts here.
  const open = connections.items.filter(
    ({ spec }) => spec?.state === 'open' && spec.direction === 'outbound' && touched.includes(spec.node),
  )
  io.talk(
    `touches ${count(touched.length, 'node')} of ${known.length}, ${count(workloads.length, 'workload')}, ${count(open.length, 'open connection')}`,
  )
  return { nodes: touched.length, nodesTotal: known.length }
}

/** More than half the lab needs a yes, where somebody is there to give it. A link of two nodes is never "half". */
export async function confirmRadius({ io, flags }: CommandContext, { nodes, nodesTotal }: Radius): Promise<boolean> {
  const wide = nodes > 2 && nodes * 2 > nodesTotal
  if (!wide || flags.boolean('yes') || flags.boolean('no-input') || !io.isTty || !process.stdin.isTTY) return true
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test(
      await prompt.question(`more than half of the lab (${nodes} of ${nodesTotal} nodes). Go on? [y/N] `),
    )
  } finally {
    prompt.close()
  }
}

/** The name given, else the lowest free f-N. */
export async function pickName({ flags, signal }: CommandContext, client: ApiClient): Promise<string> {
  const given = flags.text('name')
  if (given !== undefined) return given
  const { items } = await client.list<Fault>(FAULTS, { signal })
  const taken = new Set(items.map(({ metadata }) => metadata.name))
  let number = 1
  while (taken.has(`f-${number}`)) number += 1
  return `f-${number}`
}

/** Renews the lease until Ctrl-C or the fault's end; then heals. If this process dies, the lease runs out. */
export async function holdFault(context: CommandContext, client: ApiClient, fault: Fault): Promise<number> {
  const { clock, signal, io } = context
  const target = { name: fault.metadata.name }
  const spec = { leaseSeconds: LEASE_SECONDS }
  try {
    for (;;) {
      const renewTime = new Date(clock.now()).toISOString()
      const renewed = await client.mergePatch<Fault>(FAULTS, target, { spec: { ...spec, renewTime } }, { signal })
      if (renewed.status?.phase === 'Ended') return exitCode('ok')
      await sleep(clock, RENEW_MS, signal)
    }
  } catch (error) {
    if (CodedError.is(error, 'NOT_FOUND')) return exitCode('ok') // healed by somebody else
    if (!signal.aborted) throw error
    await client.delete(FAULTS, target)
    io.talk(`fault/${target.name} healed`)
    throw signal.reason
  }
}
