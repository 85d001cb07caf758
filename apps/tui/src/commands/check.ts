import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { TIMEOUT_FLAG } from '../cli/global-flags.ts'

export default defineCommand({
  name: 'check',
  summary: 'is the lab healthy? stage by stage, with the command that mends each finding',
  group: 'lab',
  flags: [
    { name: 'wait', kind: 'boolean', summary: 'until nodes and deployments are ready, then check' },
    TIMEOUT_FLAG,
    {
      name: 'output',
      short: 'o',
      kind: 'text',
      value: 'FORMAT',
      default: 'table',
      choices: ['table', 'short', 'json', 'junit'],
      summary: 'table short json junit',
      group: 'output',
    },
  ],
  examples: [
    { line: 'ambient check', says: 'warnings are allowed' },
    { line: 'ambient check -o short', says: 'only what is wrong' },
    { line: 'ambient check --wait -o junit', says: 'for CI' },
  ],
  exits: ['no', 'unavailable', 'try later'],
  async run(context) {
    const [{ runChecks, STAGES }, report] = await Promise.all([
      import('../tasks/check.ts'),
      import('../tasks/check-report.ts'),
    ])
    const { flags, io, clock, signal } = context
    if (flags.boolean('wait')) {
      const { waitForEverything } = await import('../tasks/ready.ts')
      await waitForEverything(await context.api(), { clock, signal, timeoutMs: flags.durationMs('timeout') ?? 0 })
    }
    const findings = await runChecks(context)
    const failed = findings.filter(({ level }) => level === 'FAIL').length
    const warned = findings.filter(({ level }) => level === 'WARN').length
    const exit = exitCode(failed > 0 ? 'no' : 'ok')
    const format = flags.word('output')
    if (format === 'json') io.answer(report.jsonText(findings))
    else if (format === 'junit') io.answer(report.junitText(findings))
    else io.answer(report.plainText(findings, STAGES, { short: format === 'short', paint: io.paint }))
    io.talk(`${failed} failed, ${warned} warning${warned === 1 ? '' : 's'}. exit ${exit}`)
    return exit
  },
})
