import type { CommandContext } from '../cli/command.ts'
import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { NAMESPACE_FLAGS, OUTPUT_FLAGS, SELECTOR_FLAG } from '../cli/global-flags.ts'
import { parseFormat } from '../output/format.ts'

export default defineCommand({
  name: 'get',
  summary: 'list objects, or show those that are named',
  group: 'resources',
  usage: 'TYPE[/NAME]… | TYPE NAME…',
  takes: [1, 100],
  completes: ['object', 'object'],
  flags: [
    { name: 'watch', short: 'w', kind: 'boolean', summary: 'and then every change, until Ctrl-C' },
    ...NAMESPACE_FLAGS,
    SELECTOR_FLAG,
    {
      name: 'field-selector',
      kind: 'text',
      value: 'EXPR',
      summary: 'fields: spec.nodeName=n1,status.phase!=Running',
      group: 'selection',
    },
    ...OUTPUT_FLAGS,
  ],
  examples: [
    { line: 'ambient get pods -A -o wide', says: 'every pod, with its node and address' },
    { line: 'ambient get svc/productpage deploy/curl -o yaml', says: 'two objects as they are stored' },
    { line: 'ambient get con --no-headers', says: 'connections, live and lately ended' },
    {
      line: 'ambient get requests --field-selector spec.state=refused',
      says: 'what waypoints and gateways refused lately, with the ids that why takes',
    },
    { line: "ambient get pods -l app=reviews -o jsonpath='{.items[*].status.podIP}'", says: 'addresses for a script' },
  ],
  exits: ['nothing', 'unavailable', 'permission'],
  async run(context) {
    const format = parseFormat(context.flags.word('output'))
    const { parseSelections } = await import('../tasks/kinds.ts')
    const selections = parseSelections(context.args)
    const { fetchSets, watchSets } = await import('../tasks/list-objects.ts')
    const { objectsText } = await import('../output/print-objects.ts')
    if (context.flags.boolean('watch')) return watchSets(context, selections, format)
    const sets = await fetchSets(context, selections)
    const found = sets.filter(({ objects }) => objects.length > 0)
    const print = { format, headers: !context.flags.boolean('no-headers'), lab: await labName(context) }
    const shown = format.type === 'table' ? found : sets
    context.io.answer(await objectsText({ ...print, sets: shown, nowMs: context.clock.now() }))
    if (found.length === 0 && format.type === 'table') context.io.talk('no objects found')
    return exitCode('ok')
  },
})

async function labName(context: CommandContext): Promise<string> {
  const file = context.flags.text('context')
  return file ?? (await context.lab()).name
}
