import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { REVIEW_FLAGS } from '../tasks/review-flags.ts'

export default defineCommand({
  name: 'why',
  summary: 'would it pass, who decides, and which field fails',
  group: 'traffic',
  usage: 'WORKLOAD TARGET | CONNECTION-ID | REQUEST-ID',
  takes: [1, 2],
  completes: ['pod', 'object'],
  flags: REVIEW_FLAGS,
  examples: [
    { line: 'ambient why deploy/curl svc/productpage', says: 'the way from capture to the application' },
    { line: 'ambient why deploy/curl http://pay.shop:8080/charge -X POST', says: 'as a program would dial it' },
    { line: 'ambient why n2-17', says: 'a connection of get connections -o wide, or of an access log' },
    {
      line: 'ambient why 3f8c2a10-5d1e-4b7a-9c55-0e1f2a3b4c5d',
      says: 'a request of get requests, by the x-request-id that an access log of a waypoint has too',
    },
    { line: 'ambient why curl-6b7f8c9d5-x7k2p pod/pay-1 --port 8080 -o json', says: 'every field that was compared' },
  ],
  exits: ['no', 'nothing', 'unavailable'],
  notes:
    'Nothing is sent: each proxy on the way answers with the functions that decide about real connections. kubectl can\nask too: create a PathReview (ambient.lab/v1). Of a request the proxy that met it remembers the header lines, and\nshows none that is a credential.',
  async run(context) {
    const { formatReview, reviewById, reviewPath } = await import('../tasks/path-review.ts')
    const review = context.args.length === 1 ? await reviewById(context) : await reviewPath(context)
    const isJson = context.flags.word('output') === 'json'
    const document = { schema: 'ambient.lab/why/1', spec: review.spec, status: review.status }
    context.io.answer(isJson ? `${JSON.stringify(document, null, 2)}\n` : formatReview(review))
    return exitCode(review.status?.allowed ? 'ok' : 'no')
  },
})
