import { type CancelTimer, type Clock, every } from '@ambient-lab/std'
import { SPANS_QUEUED_MAX } from './limits.ts'

/** SpanKind of OpenTelemetry's protocol. */
export const SPAN_KIND = { server: 2, client: 3 } as const

/** One finished span. */
export interface Span {
  /** Whose span it is: `service.name` of its resource. */
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  /** Empty for the first of a trace. */
  readonly parentSpanId: string
  readonly name: string
  readonly kind: (typeof SPAN_KIND)[keyof typeof SPAN_KIND]
  /** Wall clock. */
  readonly startedAtMs: number
  readonly durationMs: number
  /** Those that are empty are left out. */
  readonly attributes: Readonly<Record<string, string>>
  readonly isError: boolean
}

export interface OtlpSpanExporterComponents {
  readonly clock: Clock
  /** Sends one OTLP/HTTP request; a failure is the exporter's to count, spans are not sent twice. */
  readonly post: (endpoint: string, body: string) => Promise<void>
}

/** How often spans are sent. */
const EXPORT_PERIOD_MS = 1_000

/** Sends spans as OTLP/HTTP JSON, many together. A collector that does not take them costs spans, never memory. */
export class OtlpSpanExporter implements Disposable {
  readonly #components: OtlpSpanExporterComponents
  readonly #endpoint: string
  readonly #stop: CancelTimer
  #spans: Span[] = []
  #dropped = 0

  /** @param endpoint `http://host:4318/v1/traces` */
  constructor(components: OtlpSpanExporterComponents, endpoint: string) {
    this.#components = components
    this.#endpoint = endpoint
    this.#stop = every(components.clock, EXPORT_PERIOD_MS, () => void this.flush())
  }

  /** Spans that were never sent. */
  get dropped(): number {
    return this.#dropped
  }

  add(span: Span): void {
    if (this.#spans.length >= SPANS_QUEUED_MAX) {
      this.#spans.shift()
      this.#dropped += 1
    }
    this.#spans.push(span)
  }

  async flush(): Promise<void> {
    const spans = this.#spans
    if (spans.length === 0) return
    this.#spans = []
    try {
      await this.#components.post(this.#endpoint, JSON.stringify(otlpRequest(spans)))
    } catch {
      this.#dropped += spans.length
    }
  }

  [Symbol.dispose](): void {
    this.#stop()
  }
}

/**
 * Pure: spans in, the body of an export request out, one resource for each service.
 * @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
export function otlpRequest(spans: readonly Span[]): object {
  const byService = Map.groupBy(spans, ({ service }) => service)
  return {
    resourceSpans: [...byService].map(([service, own]) => ({
      resource: { attributes: [attribute('service.name', service)] },
      scopeSpans: [{ scope: { name: 'ambient-lab' }, spans: own.map(otlpSpan) }],
    })),
  }
}

function otlpSpan(span: Span): object {
  const startNanos = BigInt(Math.round(span.startedAtMs * 1000)) * 1000n
  const endNanos = startNanos + BigInt(Math.round(span.durationMs * 1000)) * 1000n
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId !== '' && { parentSpanId: span.parentSpanId }),
    name: span.name,
    kind: span.kind,
    startTimeUnixNano: String(startNanos),
    endTimeUnixNano: String(endNanos),
    attributes: Object.entries(span.attributes).flatMap(([key, value]) =>
      value === '' ? [] : [attribute(key, value)],
    ),
    status: span.isError ? { code: 2 } : {},
  }
}

function attribute(key: string, stringValue: string): object {
  return { key, value: { stringValue } }
}
