import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DOCUMENT_FLAG, NAMESPACE_FLAG } from '../cli/global-flags.ts'

export default defineCommand({
  name: 'describe',
  summary: 'everything about one object: fields, conditions, events',
  group: 'resources',
  usage: 'TYPE/NAME',
  takes: [1, 2],
  completes: ['object', 'object'],
  flags: [NAMESPACE_FLAG, DOCUMENT_FLAG],
  examples: [
    { line: 'ambient describe node/n1', says: 'its agent, ports, conditions' },
    { line: 'ambient describe deploy/reviews-v1', says: 'and what happened to it' },
    { line: 'ambient describe pod curl-6b7f8c9d5-x7k2p -n default', says: 'the other way to say it' },
  ],
  exits: ['nothing', 'unavailable', 'permission'],
  async run(context) {
    const { parseOne, resourceType } = await import('../tasks/kinds.ts')
    const { describeText, eventsOf } = await import('../tasks/describe.ts')
    const { fetchSets } = await import('../tasks/list-objects.ts')
    const { definition, name } = parseOne(context.args)
    const [set] = await fetchSets(context, [{ definition, names: [name] }])
    const object = set!.objects[0]!
    const events = await eventsOf(await context.api(), object, context.signal)
    if (context.flags.word('output') === 'json') {
      const document = { schema: 'ambient.lab/describe/1', resource: resourceType(definition).resource, object, events }
      context.io.answer(`${JSON.stringify(document, null, 2)}\n`)
    } else {
      context.io.answer(describeText(object, events, context.clock.now()))
    }
    return exitCode('ok')
  },
})
