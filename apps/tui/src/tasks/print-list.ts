import type { CommandContext } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { parseFormat } from '../output/format.ts'
import { objectsText } from '../output/print-objects.ts'
import { kindNamed } from './kinds.ts'
import { fetchSets, watchSets } from './list-objects.ts'

/** `fault list`, `load list`: what `get TYPE` prints, under the noun's own name. */
export async function printList(context: CommandContext, type: string): Promise<number> {
  const { flags, io, clock } = context
  const format = parseFormat(flags.word('output'))
  const selection = { definition: kindNamed(type), names: [] }
  if (flags.boolean('watch')) return watchSets(context, [selection], format)
  const sets = await fetchSets(context, [selection])
  const none = sets.every(({ objects }) => objects.length === 0)
  if (none && format.type === 'table') io.talk(`no ${type}`)
  else {
    const lab = flags.text('context') ?? (await context.lab()).name
    io.answer(await objectsText({ sets, format, headers: !flags.boolean('no-headers'), lab, nowMs: clock.now() }))
  }
  return exitCode('ok')
}
