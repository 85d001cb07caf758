import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { isAbsolute, join } from 'node:path'
import type { Node } from '@ambient-lab/api'
import {
  type DumpFilter,
  mergeDumps,
  parseZtunnelDump,
  SECTIONS,
  type Section,
  type SectionName,
  sectionJson,
  sectionText,
  type ZtunnelDump,
} from '@ambient-lab/lab'
import { CodedError, errorMessage } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { NODES } from './resource-types.ts'

/** An agent answers from memory; longer than this it is stopped or stuck. */
const ADMIN_TIMEOUT_MS = 5_000

/** `zc SECTION`, or all sections with their names. */
export async function printSections(context: CommandContext, name: string): Promise<number> {
  const { flags, io, clock } = context
  const dump = await readDump(context)
  const filter = filterOf(context, name)
  const nowMs = clock.now()
  const names = name === 'all' ? (Object.keys(SECTIONS) as SectionName[]) : [name as SectionName]
  const sections = names.map((of) => [of, SECTIONS[of](dump, filter, nowMs)] as const)
  switch (flags.word('output')) {
    case 'json':
      io.answer(name === 'all' ? `${JSON.stringify(itemsByName(sections), null, 4)}\n` : sectionJson(sections[0]![1]))
      break
    case 'yaml': {
      const { stringifyYaml } = await import('@ambient-lab/api')
      io.answer(await stringifyYaml([name === 'all' ? itemsByName(sections) : sections[0]![1].items]))
      break
    }
    default:
      io.answer(sections.map(([, section]) => sectionText(section)).join('\n'))
  }
  return exitCode('ok')
}

/** `zc log`: shows or changes the levels of the agents. */
export async function setLogLevels(context: CommandContext): Promise<number> {
  const { flags, io } = context
  const level = flags.text('level')
  const query = flags.boolean('reset') ? '?reset' : level === undefined ? '' : `?level=${encodeURIComponent(level)}`
  for (const node of await nodesOf(context)) {
    const text = await askAdmin(context, node, `/logging${query}`, 'POST')
    io.answer(`${node.metadata.name}: ${text.trim()}\n`)
  }
  return exitCode('ok')
}

function itemsByName(sections: readonly (readonly [string, Section])[]): Record<string, readonly unknown[]> {
  return Object.fromEntries(sections.map(([name, { items }]) => [name, items]))
}

function filterOf({ flags, args }: CommandContext, name: string): DumpFilter {
  const text = (flag: string) => (flags.has(flag) ? flags.text(flag) : undefined)
  return {
    [name === 'service' ? 'service' : 'workload']: args[0],
    workloadNamespace: text('workload-namespace'),
    workloadNode: text('workload-node'),
    address: text('address'),
    serviceNamespace: text('service-namespace'),
    policyNamespace: text('policy-namespace'),
    direction: text('direction') as DumpFilter['direction'],
    raw: flags.has('raw') && flags.boolean('raw'),
  }
}

async function readDump(context: CommandContext): Promise<ZtunnelDump> {
  const file = context.flags.text('file')
  if (file !== undefined) {
    const path = isAbsolute(file) ? file : join(context.cwd, file)
    return parseZtunnelDump(readFileSync(path, 'utf8'), file)
  }
  const nodes = await nodesOf(context)
  const texts = await Promise.all(nodes.map((node) => askAdmin(context, node, '/config_dump', 'GET')))
  return mergeDumps(texts.map((text, index) => parseZtunnelDump(text, `node ${nodes[index]!.metadata.name}`)))
}

/** @throws CodedError NOT_FOUND */
async function nodesOf(context: CommandContext): Promise<readonly Node[]> {
  const client = await context.api()
  const { signal, flags } = context
  const name = flags.text('node')
  if (name !== undefined) return [(await client.get(NODES, { name, signal })) as Node]
  const { items } = await client.list(NODES, { signal })
  return (items as readonly Node[]).filter(({ status }) => status?.agent)
}

/** @throws CodedError UNAVAILABLE: admin servers listen on the loopback of their machine */
async function askAdmin(
  { signal }: CommandContext,
  { metadata, status }: Node,
  path: string,
  method: 'GET' | 'POST',
): Promise<string> {
  const where = `node ${metadata.name}`
  const { agent } = status ?? {}
  if (!agent) throw new CodedError('UNAVAILABLE', `${where} has no agent`, { where, next: 'ambient get nodes' })
  if (agent.machine !== hostname()) {
    throw new CodedError('UNAVAILABLE', `the agent of ${where} runs on ${agent.machine}`, {
      where,
      next: `the same on ${agent.machine}, or with -f and a dump from there`,
    })
  }
  let response: Response
  try {
    response = await fetch(`http://127.0.0.1:${agent.ports.admin}${path}`, {
      method,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ADMIN_TIMEOUT_MS)]),
    })
  } catch (error) {
    signal.throwIfAborted()
    throw new CodedError('UNAVAILABLE', `${where} does not answer: ${errorMessage(error)}`, {
      where,
      cause: error,
      next: 'ambient get nodes',
    })
  }
  const text = await response.text()
  if (!response.ok) throw new CodedError('BAD_REQUEST', `${where}: ${text.split('\n')[0]}`, { where })
  return text
}
