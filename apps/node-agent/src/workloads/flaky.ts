import { defineWorkload, json } from '../hosting/workload.ts'

/** Fails a share of its requests: `FAIL_PERCENT` (50) with `FAIL_STATUS` (503). Retries and outlier detection need one. */
export default defineWorkload({
  name: 'flaky',
  images: ['ambient-lab/flaky'],
  ports: () => [8080],
  create: ({ env, random, pod }) => {
    const share = Number(env.FAIL_PERCENT ?? 50) / 100
    const status = Number(env.FAIL_STATUS ?? 503)
    return {
      http: ({ path }) =>
        path !== '/health' && random.next() < share
          ? json(status, { error: 'flaky, as asked', pod: pod.name })
          : json(200, { ok: true, pod: pod.name }),
    }
  },
})
