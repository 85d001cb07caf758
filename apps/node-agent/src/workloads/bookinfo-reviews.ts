import { defineWorkload, json, type WorkloadContext } from '../hosting/workload.ts'
import { BOOKINFO_PORT, fetchJson, forwardedHeaders, serviceUrl } from './_bookinfo.ts'

/** How long the two starred versions wait for ratings; the difference is what Istio's fault injection task is about. */
const TIMEOUT_BLACK_MS = 10_000
const TIMEOUT_OTHER_MS = 2500

const TEXTS = [
  'An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!',
  'Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by Shakespeare.',
]

interface Stars {
  readonly enabled: boolean
  readonly color: string
}

/** Bookinfo's reviews: v1 without stars, v2 with black, v3 with red ones, which it asks ratings for. */
export default defineWorkload({
  name: 'bookinfo-reviews',
  images: ['examples-bookinfo-reviews-v1', 'examples-bookinfo-reviews-v2', 'examples-bookinfo-reviews-v3'],
  ports: () => [BOOKINFO_PORT],
  create: (context) => {
    const stars = starsOf(context)
    return {
      http: async (request) => {
        if (request.path === '/health') return json(200, { status: 'Reviews is healthy' })
        const id = /^\/reviews\/(\d+)$/.exec(request.path)?.[1]
        if (id === undefined) return json(404, { error: 'not found' })
        const ratings = stars.enabled ? await fetchRatings(context, id, forwardedHeaders(request), stars) : {}
        return json(200, {
          id,
          podname: context.env.HOSTNAME ?? 'null',
          clustername: context.env.CLUSTER_NAME ?? 'null', // the Java original prints a missing variable so
          reviews: TEXTS.map((text, index) => ({
            reviewer: `Reviewer${index + 1}`,
            text,
            ...(stars.enabled ? { rating: ratingOf(ratings[`Reviewer${index + 1}`], stars) } : {}),
          })),
        })
      },
    }
  },
})

function starsOf({ env, container }: WorkloadContext): Stars {
  const version = /reviews-v(\d)/.exec(container.image)?.[1] ?? '1'
  const enabled = env.ENABLE_RATINGS === undefined ? version !== '1' : env.ENABLE_RATINGS.toLowerCase() === 'true'
  return { enabled, color: env.STAR_COLOR ?? (version === '3' ? 'red' : 'black') }
}

async function fetchRatings(
  context: WorkloadContext,
  id: string,
  headers: Readonly<Record<string, string>>,
  stars: Stars,
): Promise<Readonly<Record<string, unknown>>> {
  const timeoutMs = stars.color === 'black' ? TIMEOUT_BLACK_MS : TIMEOUT_OTHER_MS
  const { value } = await fetchJson(context, `${serviceUrl('ratings', context.env)}/ratings/${id}`, headers, timeoutMs)
  const ratings = (value as { ratings?: unknown } | undefined)?.ratings
  return typeof ratings === 'object' && ratings !== null ? (ratings as Record<string, unknown>) : {}
}

function ratingOf(count: unknown, stars: Stars): Readonly<Record<string, unknown>> {
  return typeof count === 'number'
    ? { stars: count, color: stars.color }
    : { error: 'Ratings service is currently unavailable' }
}
