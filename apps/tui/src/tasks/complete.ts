import type { GroupVersionResource } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import type { Command, CommandContext, Completes, Flag } from '../cli/command.ts'
import { GLOBAL_FLAGS } from '../cli/global-flags.ts'
import { FAULTS, NODES, PODS } from './resource-types.ts'

export interface Candidate {
  readonly word: string
  readonly says: string
}

/** Live names are asked for this long; a shell waits for them. */
const LIVE_LIMIT_MS = 300

/** What may stand in place of the last word. The words are those behind `ambient`. */
export async function candidates(context: CommandContext, words: readonly string[]): Promise<Candidate[]> {
  const current = words.at(-1) ?? ''
  const { command, position, flags } = walk(context.commands, words.slice(0, -1))
  const previous = flags.find(
    ({ name, short }) => words.at(-2) === `--${name}` || (short && words.at(-2) === `-${short}`),
  )
  const all =
    previous && !['boolean', 'count', 'text?'].includes(previous.kind)
      ? flagValues(previous)
      : current.startsWith('-')
        ? flags.map((flag) => ({ word: `--${flag.name}`, says: flag.summary }))
        : await positionals(context, command, position, current)
  return all.filter(({ word }) => word.startsWith(current))
}

interface Walked {
  readonly command: Command | undefined
  /** How many positional arguments stand before the word. */
  readonly position: number
  readonly flags: readonly Flag[]
}

/** As the parser does it, forgiving what is not finished yet. */
function walk(commands: readonly Command[], words: readonly string[]): Walked {
  let command: Command | undefined
  let flags: readonly Flag[] = GLOBAL_FLAGS
  let position = 0
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index]!
    if (word.startsWith('-')) {
      const flag = flags.find(({ name, short }) => word === `--${name}` || word === `-${short}`)
      if (flag && !['boolean', 'count', 'text?'].includes(flag.kind)) index += 1
      continue
    }
    const next = (command ? command.verbs : commands)?.find(
      ({ name, aliases }) => name === word || aliases?.includes(word),
    )
    if (!next) position += 1
    else {
      command = next
      flags = [...flags, ...(next.flags ?? [])]
    }
  }
  return { command, position, flags }
}

function flagValues({ choices = [], name }: Flag): Candidate[] {
  return choices.map((word) => ({ word, says: `--${name}` }))
}

async function positionals(
  context: CommandContext,
  command: Command | undefined,
  position: number,
  current: string,
): Promise<Candidate[]> {
  const below = command ? command.verbs : context.commands
  if (below) return below.filter(({ hidden }) => !hidden).map(({ name, summary }) => ({ word: name, says: summary }))
  const completes = command?.completes?.[position] ?? command?.completes?.at(-1) ?? 'none'
  return live(context, completes, current)
}

async function live(context: CommandContext, completes: Completes, current: string): Promise<Candidate[]> {
  if (completes === 'none' || completes === 'file') return []
  if (completes === 'fault') {
    const { FAULT_HONESTY } = await import('./fault-add.ts')
    const types = Object.entries(FAULT_HONESTY).map(([word, says]) => ({ word, says }))
    return [...types, ...(await names(context, FAULTS, 'fault'))]
  }
  if (completes === 'node') return names(context, NODES, 'node')
  if (completes === 'pod') {
    const pods = await names(context, PODS, 'pod')
    const { parseSelections, resourceType } = await import('./kinds.ts')
    const [deployments] = parseSelections(['deploy'])
    const found = await names(context, resourceType(deployments!.definition), 'deployment')
    return [...found.map(({ word, says }) => ({ word: `deploy/${word}`, says })), ...pods]
  }
  return objects(context, current)
}

/** Types before the slash, live names behind it. */
async function objects(context: CommandContext, current: string): Promise<Candidate[]> {
  const { kindNamed, resourceType } = await import('./kinds.ts')
  const slash = current.indexOf('/')
  if (slash < 0) {
    const { KINDS } = await import('@ambient-lab/api')
    return KINDS.flatMap(({ plural, shortNames = [], kind }) =>
      [plural, ...shortNames].map((word) => ({ word, says: kind })),
    )
  }
  const type = current.slice(0, slash)
  const found = await names(context, resourceType(kindNamed(type)), type)
  return found.map(({ word, says }) => ({ word: `${type}/${word}`, says }))
}

async function names(context: CommandContext, type: GroupVersionResource, says: string): Promise<Candidate[]> {
  const client: ApiClient = await context.api()
  const limit = new AbortController()
  const cancel = context.clock.schedule(LIVE_LIMIT_MS, () => limit.abort(), { background: true })
  try {
    const { items } = await client.list(type, { signal: limit.signal })
    return items.map(({ metadata }) => ({
      word: metadata.name,
      says: metadata.namespace ? `${says} in ${metadata.namespace}` : says,
    }))
  } finally {
    cancel()
  }
}
