import type { Command, CommandGroup, Flag } from './command.ts'
import { EXIT_CODES, type ExitName } from './exit-codes.ts'
import { GLOBAL_FLAGS } from './global-flags.ts'

const GROUPS: readonly CommandGroup[] = ['lab', 'resources', 'traffic', 'faults and load', 'other']

/** `ambient help`: every command with its sentence. */
export function overviewText(commands: readonly Command[]): string {
  const shown = commands.filter(({ hidden }) => !hidden)
  const width = Math.max(...shown.map(({ name }) => name.length))
  const sections = GROUPS.flatMap((group) => {
    const members = shown.filter((command) => command.group === group)
    if (members.length === 0) return []
    return [`${group}\n${members.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}`]
  })
  return `ambient: a real ambient mesh in plain processes\n\n${sections.join('\n\n')}\n\nSay more: ambient COMMAND --help. First steps: ambient up demo\n`
}

/** One command: sentence, usage, examples, flags by group, exit codes. */
export function commandText(command: Command, path: readonly string[]): string {
  const line = `ambient ${path.join(' ')}`
  const usage = command.verbs ? `${line} VERB` : [line, command.usage, '[flags]'].filter(Boolean).join(' ')
  const parts = [
    `${capital(command.summary)}.`,
    `  ${usage}`,
    ...(command.verbs ? [verbsText(command.verbs)] : []),
    section(
      'examples',
      command.examples.map(({ line: example, says }) => [example, says]),
    ),
    ...flagSections(command.flags ?? []),
    ...(command.notes ? [command.notes] : []),
    ...(command.verbs ? [] : [section('exit codes', exitRows(command.exits ?? []))]),
  ]
  return `${parts.join('\n\n')}\n`
}

function verbsText(verbs: readonly Command[]): string {
  return section(
    'verbs',
    verbs.filter(({ hidden }) => !hidden).map(({ name, usage = '', summary }) => [`${name} ${usage}`.trim(), summary]),
  )
}

function flagSections(flags: readonly Flag[]): string[] {
  const all = [...flags, ...GLOBAL_FLAGS]
  const titles = { command: 'flags', selection: 'selection', output: 'output', global: 'global flags' } as const
  return (['command', 'selection', 'output', 'global'] as const).flatMap((group) => {
    const members = all.filter((flag) => (flag.group ?? 'command') === group)
    return members.length === 0 ? [] : [section(titles[group], members.map(flagRow))]
  })
}

function flagRow(flag: Flag): [string, string] {
  const value =
    flag.kind === 'boolean' || flag.kind === 'count'
      ? ''
      : flag.kind === 'text?'
        ? `[=${flag.value}]`
        : ` ${flag.value ?? 'VALUE'}`
  const short = flag.short ? `-${flag.short}, ` : '    '
  const standard = flag.default === undefined ? '' : ` (${flag.default})`
  return [`${short}--${flag.name}${value}`, `${flag.summary}${standard}`]
}

function exitRows(exits: readonly ExitName[]): [string, string][] {
  const names = (Object.keys(EXIT_CODES) as ExitName[]).filter(
    (name) => exits.includes(name) || ['ok', 'usage', 'internal'].includes(name),
  )
  return names.map((name) => [String(EXIT_CODES[name].code), EXIT_CODES[name].means])
}

function section(title: string, rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(52, Math.max(0, ...rows.map(([left]) => left.length)))
  return `${title}\n${rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')}`
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
