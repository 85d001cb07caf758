import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { commandText, overviewText } from '../cli/help.ts'
import { parseCommandLine } from '../cli/parse.ts'

export default defineCommand({
  name: 'help',
  summary: 'what there is, or one command',
  group: 'other',
  usage: '[COMMAND [VERB] | types | exit-codes]',
  takes: [0, 2],
  examples: [
    { line: 'ambient help', says: 'every command' },
    { line: 'ambient help fault add', says: 'one of them' },
    { line: 'ambient help types', says: 'what get and describe take' },
    { line: 'ambient help exit-codes', says: 'what scripts can rely on' },
  ],
  async run({ io, args, commands }) {
    const [topic] = args
    if (topic === undefined) io.answer(overviewText(commands))
    else if (topic === 'types') io.answer(await typesText())
    else if (topic === 'exit-codes') io.answer(await exitCodesText())
    else {
      const { command, path } = parseCommandLine(args, commands)
      io.answer(command ? commandText(command, path) : overviewText(commands))
    }
    return exitCode('ok')
  },
})

async function typesText(): Promise<string> {
  const [{ KINDS, apiVersionOf }, { rowsText }] = await Promise.all([
    import('@ambient-lab/api'),
    import('../tasks/list-objects.ts'),
  ])
  const rows = KINDS.map((kind) => [
    kind.plural,
    (kind.shortNames ?? []).join(','),
    apiVersionOf(kind),
    kind.scope === 'Namespaced' ? 'yes' : 'no',
    kind.kind,
  ])
  return rowsText(['NAME', 'SHORT', 'APIVERSION', 'NAMESPACED', 'KIND'], rows)
}

async function exitCodesText(): Promise<string> {
  const [{ EXIT_CODES }, { rowsText }] = await Promise.all([
    import('../cli/exit-codes.ts'),
    import('../tasks/list-objects.ts'),
  ])
  return rowsText(
    ['CODE', 'NAME', 'MEANS'],
    Object.entries(EXIT_CODES).map(([name, { code, means }]) => [code, name, means]),
  )
}
