import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { REVIEW_FLAGS } from '../tasks/review-flags.ts'

export default defineCommand({
  name: 'can',
  summary: 'may a workload reach a target: one line, for scripts',
  group: 'traffic',
  usage: 'WORKLOAD TARGET',
  takes: [2, 2],
  completes: ['pod', 'object'],
  flags: REVIEW_FLAGS,
  examples: [
    { line: 'ambient can deploy/curl svc/productpage && echo yes', says: 'exit 0 yes, 1 no, 2 no such workload' },
    { line: 'ambient can deploy/curl pay.shop:8080 -X POST --path /charge', says: 'a request, not just a connection' },
  ],
  exits: ['no', 'nothing', 'unavailable'],
  async run(context) {
    const { auditedBy, reviewPath } = await import('../tasks/path-review.ts')
    const { status } = await reviewPath(context)
    const allowed = status?.allowed ?? false
    const audited = auditedBy(status)
    const answer = { schema: 'ambient.lab/can/1', allowed, summary: status?.summary ?? '', audited }
    const isJson = context.flags.word('output') === 'json'
    const yes = audited.length === 0 ? 'yes' : `yes, audited by ${audited.join(', ')}`
    context.io.answer(isJson ? `${JSON.stringify(answer)}\n` : allowed ? `${yes}\n` : `no: ${answer.summary}\n`)
    return exitCode(allowed ? 'ok' : 'no')
  },
})
