import { HISTOGRAM_BUCKETS_MAX, HISTOGRAM_METRICS, type HistogramMetric, type L7Proxy } from '@ambient-lab/xds'

/** On pods; a Gateway hands its own on to them. */
export const BUCKETS_ANNOTATION = 'sidecar.istio.io/statsHistogramBuckets'

/** How Envoy knows the histograms before it makes names for Prometheus of them. */
const STAT_NAMES: Readonly<Record<HistogramMetric, string>> = {
  REQUEST_DURATION: 'istiocustom.istio_request_duration_milliseconds',
  REQUEST_SIZE: 'istiocustom.istio_request_bytes',
  RESPONSE_SIZE: 'istiocustom.istio_response_bytes',
}

/**
 * Buckets that an annotation of a proxy's pod wants, as `{"istiocustom": [1, 5, 10]}`: of prefixes of a histogram's name
 * the one that sorts first counts. One that cannot be read is passed over, as Istio does, and so are bounds that do not rise.
 * @see istio/istio pkg/bootstrap/config.go, getStatsOptions
 */
export function histogramBuckets(
  annotations: Readonly<Record<string, string>> = {},
): Pick<L7Proxy, 'histogramBuckets'> {
  const wanted = Object.entries(parsed(annotations[BUCKETS_ANNOTATION])).sort(([a], [b]) => (a < b ? -1 : 1))
  const found = HISTOGRAM_METRICS.flatMap((metric) => {
    const [, bounds] = wanted.find(([prefix]) => STAT_NAMES[metric].startsWith(prefix)) ?? []
    return isBuckets(bounds) ? [[metric, bounds] as const] : []
  })
  return found.length > 0 ? { histogramBuckets: Object.fromEntries(found) } : {}
}

function parsed(annotation: string | undefined): object {
  if (annotation === undefined) return {}
  try {
    const value: unknown = JSON.parse(annotation)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function isBuckets(value: unknown): value is readonly number[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > HISTOGRAM_BUCKETS_MAX) return false
  return value.every((bound, index) => typeof bound === 'number' && (index === 0 || bound > value[index - 1]))
}
