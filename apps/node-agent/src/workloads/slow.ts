import { parseDuration, sleep } from '@ambient-lab/std'
import { defineWorkload, json } from '../hosting/workload.ts'

/** Takes its time: `DELAY` (500ms) and up to `JITTER` (0ms) more before each answer; `?delay=2s` says otherwise. */
export default defineWorkload({
  name: 'slow',
  images: ['ambient-lab/slow'],
  ports: () => [8080],
  create: ({ env, clock, random, pod }) => {
    const delayMs = parseDuration(env.DELAY ?? '') ?? 500
    const jitterMs = parseDuration(env.JITTER ?? '') ?? 0
    return {
      http: async ({ path, query, signal }) => {
        if (path === '/health') return json(200, { ok: true })
        const waitMs = parseDuration(query.get('delay') ?? '') ?? delayMs + random.next() * jitterMs
        await sleep(clock, waitMs, signal)
        return json(200, { ok: true, pod: pod.name, delay_ms: Math.round(waitMs) })
      },
    }
  },
})
