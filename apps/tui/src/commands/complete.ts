import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'

export default defineCommand({
  name: 'complete',
  hidden: true,
  summary: 'candidates for the last word of a command line, for completion scripts',
  group: 'other',
  takesRest: true,
  examples: [{ line: 'ambient complete -- get po', says: 'word and description, a tab between' }],
  async run(context) {
    const { candidates } = await import('../tasks/complete.ts')
    try {
      const found = await candidates(context, context.rest)
      context.io.answer(found.map(({ word, says }) => `${word}\t${says}\n`).join(''))
    } catch {
      // a shell that completes must not be talked to
    }
    return exitCode('ok')
  },
})
