import { sleep } from '@ambient-lab/std'
import { type AppReply, type AppRequest, defineWorkload, json, type WorkloadContext } from '../hosting/workload.ts'
import { BOOKINFO_PORT } from './_bookinfo.ts'

/** `v-delayed` holds back half of its answers this long, `v-unavailable` is away every other minute. */
const DELAY_MS = 7000
const OUTAGE_PERIOD_MS = 60_000

/** Bookinfo's ratings: stars of two reviewers, in memory; POST replaces them. */
export default defineWorkload({
  name: 'bookinfo-ratings',
  images: ['examples-bookinfo-ratings-v1', 'examples-bookinfo-ratings-v2'],
  ports: () => [BOOKINFO_PORT],
  create: (context) => {
    const posted = new Map<number, unknown>()
    const version = context.env.SERVICE_VERSION ?? (/ratings-v2/.test(context.container.image) ? 'v2' : 'v1')
    return {
      http: async (request) => {
        if (request.path === '/health') return health(version, context)
        const id = /^\/ratings\/?(\d*)/.exec(request.path)?.[1]
        if (id === undefined) return json(404, { error: 'not found' })
        if (id === '') return json(400, { error: 'please provide numeric product ID' })
        if (request.method === 'POST') return post(request, Number(id), posted, version)
        const trouble = await troubleOf(version, context)
        return (
          trouble ?? json(200, { id: Number(id), ratings: posted.get(Number(id)) ?? { Reviewer1: 5, Reviewer2: 4 } })
        )
      },
    }
  },
})

async function post(request: AppRequest, id: number, posted: Map<number, unknown>, version: string): Promise<AppReply> {
  let ratings: unknown
  try {
    ratings = JSON.parse((await request.body()).toString('utf8'))
  } catch {
    return json(400, { error: 'please provide valid ratings JSON' })
  }
  if (version === 'v2') return json(501, { error: 'Post not implemented for database backed ratings' })
  posted.set(id, ratings)
  return json(200, { id, ratings })
}

/** The faults that the sample's own versions have; undefined: none now. */
async function troubleOf(version: string, context: WorkloadContext): Promise<AppReply | undefined> {
  switch (version) {
    case 'v2': // backed by a database, and the lab has none
      return json(500, { error: 'could not connect to ratings database' })
    case 'v-faulty':
      return context.random.next() < 0.5 ? json(503, { error: 'Service unavailable' }) : undefined
    case 'v-delayed':
      if (context.random.next() < 0.5) await sleep(context.clock, DELAY_MS)
      return undefined
    case 'v-unavailable':
    case 'v-unhealthy':
      return isAway(context) ? json(503, { error: 'Service unavailable' }) : undefined
    default:
      return undefined
  }
}

function health(version: string, context: WorkloadContext): AppReply {
  return version === 'v-unhealthy' && isAway(context)
    ? json(500, { status: 'Ratings is not healthy' })
    : json(200, { status: 'Ratings is healthy' })
}

function isAway(context: WorkloadContext): boolean {
  return Math.floor(context.clock.monotonic() / OUTAGE_PERIOD_MS) % 2 === 1
}
