import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'

export default defineCommand({
  name: 'explain',
  summary: 'the fields of a type and which layer honours them, or what the code of a finding means',
  group: 'resources',
  usage: 'TYPE[.FIELD…] | CODE',
  takes: [1, 1],
  completes: ['type'],
  flags: [{ name: 'recursive', kind: 'boolean', summary: 'every field below, not only the next ones' }],
  examples: [
    { line: 'ambient explain authorizationpolicy.spec.rules.to.operation', says: 'fields, and who honours them' },
    { line: 'ambient explain l4trafficpolicy --recursive', says: 'a whole type' },
    { line: 'ambient explain AM0104', says: 'a finding of analyze: what it means and what to do' },
    { line: 'ambient explain types', says: 'every type with its layer; "codes" lists the findings' },
  ],
  notes:
    'Layers: L4 is the ztunnel of a node, which sees connections; L7 a waypoint, gateway or sidecar, which sees requests;\nlab is what only this lab’s proxies do and Istio’s do not; none is read by no proxy.',
  async run({ args, flags, io }) {
    const { explain } = await import('../tasks/explain.ts')
    io.answer(explain(args[0]!, { recursive: flags.boolean('recursive') }))
    return exitCode('ok')
  },
})
