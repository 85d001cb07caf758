import { errorCode, errorMessage } from '@ambient-lab/std'
import { defineWorkload, json } from '../hosting/workload.ts'
import { forwardedHeaders } from './_bookinfo.ts'

const TIMEOUT_MS = 10_000

/** A link of a chain: answers with its own name and what `NEXT` (a URL) answered. Without NEXT it is the last. */
export default defineWorkload({
  name: 'chain',
  images: ['ambient-lab/chain'],
  ports: () => [8080],
  create: ({ env, client, pod }) => ({
    http: async (request) => {
      if (request.path === '/health') return json(200, { ok: true })
      if (!env.NEXT) return json(200, { pod: pod.name })
      try {
        const { status, body } = await client.fetch({
          url: env.NEXT,
          headers: forwardedHeaders(request),
          timeoutMs: TIMEOUT_MS,
        })
        return json(status === 200 ? 200 : 502, { pod: pod.name, status, next: parse(body.toString('utf8')) })
      } catch (error) {
        return json(502, { pod: pod.name, error: errorMessage(error), code: errorCode(error) ?? '' })
      }
    },
  }),
})

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}
