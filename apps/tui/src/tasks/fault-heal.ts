import type { Fault, Node, Pod } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError, errorMessage, parseDuration } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { nodesOf } from './fault-add.ts'
import { type LinkProbe, probeNodes } from './probe-nodes.ts'
import { isNodeReady } from './ready.ts'
import { FAULTS, NODES, PODS } from './resource-types.ts'
import { waitUntil } from './wait-until.ts'

/** Deletes faults, then proves for each that what it touched is as before. */
export async function healFaults(context: CommandContext, names: readonly string[]): Promise<number> {
  const { flags, io, signal } = context
  const client = await context.api()
  const { items } = await client.list<Fault>(FAULTS, { labelSelector: flags.text('selector'), signal })
  const missing = names.find((name) => !items.some(({ metadata }) => metadata.name === name))
  if (missing !== undefined)
    throw new CodedError('NOT_FOUND', `there is no fault ${missing}`, { next: 'ambient fault list' })
  const faults = names.length > 0 ? items.filter(({ metadata }) => names.includes(metadata.name)) : items
  if (faults.length === 0) io.talk('no faults')
  await Promise.all(faults.map(({ metadata }) => client.delete(FAULTS, { name: metadata.name }, { signal })))
  const remains = await Promise.all(faults.map((fault) => proveHealed(context, client, fault)))
  for (const [index, { metadata }] of faults.entries()) {
    const found = remains[index]!
    io.answer(`fault/${metadata.name} healed: ${found.length === 0 ? 'clean' : found.join('; ')}\n`)
  }
  return exitCode(remains.every((found) => found.length === 0) ? 'ok' : 'no')
}

/** @returns what remains; empty when clean */
async function proveHealed(context: CommandContext, client: ApiClient, fault: Fault): Promise<string[]> {
  const { io, clock, signal, flags } = context
  const nodes = nodesOf(fault)
  const timeoutMs = flags.durationMs('timeout') ?? 0
  try {
    await waitUntil<Node>(client, NODES, {
      options: {},
      done: (all) => nodes.every((name) => isNodeReady(all.get(name))),
      describe: (all) =>
        new CodedError('TIMEOUT', `not ready: ${nodes.filter((name) => !isNodeReady(all.get(name))).join(', ')}`),
      timeoutMs,
      clock,
      signal,
    })
  } catch (error) {
    if (signal.aborted) throw error
    return [errorMessage(error)]
  }
  const { items } = await client.list<Pod>(PODS, { signal })
  const results = await Promise.all(linksOf(fault).map(([from, to]) => probeNodes(items, from, to)))
  for (const result of results) if (result) io.talk(`probe ${result.label}: ${outcomeText(result)}`)
  return results.flatMap((result) => (result ? complaint(fault, result) : []))
}

/** Pairs of nodes whose connections the fault touched, both ways. */
function linksOf({ spec }: Fault): [string, string][] {
  const pairs = (spec?.from ?? []).flatMap((from) => (spec?.to ?? []).map((to): [string, string] => [from, to]))
  return spec?.oneway
    ? pairs
    : pairs.flatMap(([from, to]): [string, string][] => [
        [from, to],
        [to, from],
      ])
}

function complaint({ spec }: Fault, result: LinkProbe): string[] {
  if (result.outcome === 'refused') return [] // by policy: the answer came, so the link works
  if (result.outcome !== 'connected') return [`${result.label}: ${result.outcome}`]
  const delayMs = parseDuration(spec?.params?.delay ?? '') ?? Number.POSITIVE_INFINITY
  return result.tookMs < delayMs ? [] : [`${result.label}: still ${outcomeText(result)}`]
}

function outcomeText({ outcome, tookMs }: LinkProbe): string {
  return outcome === 'connected' ? `${tookMs.toFixed(1)} ms` : outcome
}
