import { errorMessage } from '@ambient-lab/std'
import type { AppRequest, WorkloadContext } from '../hosting/workload.ts'

/** Every Bookinfo service answers here. */
export const BOOKINFO_PORT = 9080

/**
 * What Bookinfo's services copy from an incoming request to the calls they make for it: the proxies can only join spans
 * that the application carries on.
 * @see https://istio.io/latest/docs/tasks/observability/distributed-tracing/overview/#trace-context-propagation
 */
const FORWARDED_HEADERS = [
  'x-request-id',
  'x-ot-span-context',
  'x-datadog-trace-id',
  'x-datadog-parent-id',
  'x-datadog-sampling-priority',
  'traceparent',
  'tracestate',
  'x-cloud-trace-context',
  'grpc-trace-bin',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'sw8',
  'end-user',
  'user-agent',
  'cookie',
  'authorization',
  'jwt',
]

export function forwardedHeaders(request: AppRequest): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of FORWARDED_HEADERS) {
    const value = request.headers[name]
    if (typeof value === 'string') headers[name] = value
  }
  return headers
}

/** `http://reviews.bookinfo:9080`: the samples' variables say where another service is. */
export function serviceUrl(service: 'details' | 'reviews' | 'ratings', env: WorkloadContext['env']): string {
  const name = service.toUpperCase()
  const domain = env.SERVICES_DOMAIN ? `.${env.SERVICES_DOMAIN}` : ''
  return `http://${env[`${name}_HOSTNAME`] ?? service}${domain}:${env[`${name}_SERVICE_PORT`] ?? BOOKINFO_PORT}`
}

export interface Fetched {
  readonly status: number
  readonly value: unknown
}

/**
 * GETs JSON over a connection of its own, as the originals do: that is why ztunnel, which balances connections, shows
 * another version of reviews at each reload. Anything but a 200 with JSON comes back as a status, 500 when nobody
 * answered.
 */
export async function fetchJson(
  context: WorkloadContext,
  url: string,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<Fetched> {
  try {
    const { status, body } = await context.client.fetch({ url, headers, timeoutMs, newConnection: true })
    if (status === 200) return { status, value: JSON.parse(body.toString('utf8')) }
    context.log(`Error: unable to contact ${url} got status of ${status}`)
    return { status, value: undefined }
  } catch (error) {
    context.log(`Error: unable to contact ${url} got exception ${errorMessage(error)}`)
    return { status: 500, value: undefined }
  }
}
