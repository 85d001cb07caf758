import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Lab } from '@ambient-lab/api'
import type { ApiClient, LabFile, LabFolder, Topology } from '@ambient-lab/lab'
import { formatDuration } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { demoFile, supervisorCommand } from './programs.ts'
import { type Readiness, waitForLab } from './ready.ts'

/** What to bring up: a lab file's lab, or one that is on disk already. */
export type UpTarget =
  | { readonly file: LabFile; readonly folder: LabFolder; readonly nodes: readonly string[] }
  | { readonly file: undefined; readonly folder: LabFolder; readonly nodes: readonly string[] }

export interface BroughtUp {
  readonly client: ApiClient
  readonly folder: LabFolder
  readonly nodes: readonly string[]
  readonly readiness: Readiness | undefined
}

/** Name of the lab that `up` makes where nothing else names one. */
const EMPTY_LAB = 'lab'

/**
 * Which lab `up` means: the file given (or `demo`), ./lab.yaml, the lab on disk that -L or this folder names, or an
 * empty one.
 * @throws CodedError NO_INPUT, MANIFEST_INVALID, LAB_FILE_INVALID
 */
export async function chooseTarget(context: CommandContext, argument: string | undefined): Promise<UpTarget> {
  const { LabFolder, readLabFile } = await import('@ambient-lab/lab')
  const name = context.flags.text('lab')
  const path = labFilePath(context, argument)
  if (path !== undefined) {
    const file = await readLabFile(path)
    return { file, folder: new LabFolder(context.home, name ?? file.name), nodes: localNodes(file) }
  }
  const folder = await labOnDisk(context, name)
  if (!folder) return emptyLab(context, new LabFolder(context.home, name ?? EMPTY_LAB))
  const origin = folder.readOrigin()
  if (origin && existsSync(origin.file)) {
    const file = await readLabFile(origin.file)
    return { file, folder, nodes: localNodes(file) }
  }
  return { file: undefined, folder, nodes: existsSync(folder.agents) ? readdirSync(folder.agents) : [] }
}

function labFilePath({ cwd, flags }: CommandContext, argument: string | undefined): string | undefined {
  const given = argument ?? (flags.has('file') ? flags.text('file') : undefined)
  if (given === 'demo') return demoFile()
  if (given !== undefined) return resolve(cwd, given)
  const here = join(cwd, 'lab.yaml')
  return existsSync(here) && !flags.given('lab') ? here : undefined
}

async function labOnDisk({ home, cwd }: CommandContext, name: string | undefined): Promise<LabFolder | undefined> {
  const { chooseLab, listLabFolders } = await import('@ambient-lab/lab')
  const folders = listLabFolders(home)
  if (name !== undefined) return folders.find((folder) => folder.name === name)
  return folders.length === 0 ? undefined : chooseLab({ home, cwd })
}

/** Nodes and nothing on them. */
function emptyLab({ flags }: CommandContext, folder: LabFolder): UpTarget {
  const wanted = flags.has('nodes') ? (flags.number('nodes') ?? 1) : 1
  const nodes = Array.from({ length: wanted }, (_, index) => ({ name: `n${index + 1}` }))
  const lab: Lab = { apiVersion: 'ambient.lab/v1', kind: 'Lab', metadata: { name: folder.name }, spec: { nodes } }
  const file: LabFile = { path: '', lab, name: folder.name, nodes }
  return { file, folder, nodes: localNodes(file) }
}

function localNodes({ nodes }: LabFile): string[] {
  return nodes.filter(({ machine }) => machine === undefined).map(({ name }) => name)
}

/**
 * Starts what does not run, applies what the lab file stands for, and waits when asked. The manifests are read while
 * the programs start; a lab that was started only to find that its manifests are wrong is taken down again.
 */
export async function bringUp(
  context: CommandContext,
  target: UpTarget,
  options: { waitMs: number | undefined },
): Promise<BroughtUp> {
  const { down, readTopology, up } = await import('@ambient-lab/lab')
  const { clock, io, signal, flags } = context
  const { folder, nodes, file } = target
  const startMs = clock.monotonic()
  const since = () => formatDuration(clock.monotonic() - startMs)
  const onWarning = (text: string) => io.warn(text)
  const [started, topology] = await Promise.allSettled([
    up({
      folder,
      nodes,
      supervisor: supervisorCommand(folder.name, nodes, flags.has('port') ? flags.number('port') : undefined),
      clock,
      signal,
      client: { onWarning, components: context },
    }),
    file ? readTopology(file) : emptyTopology(),
  ])
  if (started.status === 'rejected') throw started.reason
  const { client, started: fresh } = started.value
  if (topology.status === 'rejected') {
    if (fresh) await down(folder, { clock })
    throw topology.reason
  }
  io.talk(`control plane ${client.server} after ${since()}`)
  if (file?.path) folder.writeOrigin({ folder: dirname(resolve(file.path)), file: resolve(file.path) })
  await applyTopology(context, client, topology.value, { since })
  const readiness =
    options.waitMs === undefined
      ? undefined
      : await waitForLab(client, nodes, { clock, signal, timeoutMs: options.waitMs })
  if (readiness) io.talk(`${count(readiness.nodes, 'node')} and ${count(readiness.pods, 'pod')} ready after ${since()}`)
  return { client, folder, nodes, readiness }
}

async function emptyTopology(): Promise<Topology> {
  return { items: [], warnings: [] }
}

async function applyTopology(
  context: CommandContext,
  client: ApiClient,
  topology: Topology,
  { since }: { since: () => string },
): Promise<void> {
  const { applyAll } = await import('@ambient-lab/lab')
  for (const warning of topology.warnings) context.io.warn(warning)
  if (topology.items.length === 0) return
  const { signal } = context
  const applied = await applyAll(client, topology.items, { signal })
  const outcomes = (['created', 'changed', 'unchanged'] as const).flatMap((outcome) => {
    const number = applied.filter((entry) => entry.outcome === outcome).length
    return number > 0 ? [`${number} ${outcome}`] : []
  })
  context.io.talk(`${count(topology.items.length, 'object')}: ${outcomes.join(', ')} after ${since()}`)
}

export function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}
