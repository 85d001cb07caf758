import { assert } from '@ambient-lab/std'
import { SERIES_MAX } from './limits.ts'

export interface MetricInit<Label extends string> {
  /** The whole name, `_total` of a counter included. */
  readonly name: string
  readonly help: string
  /** In the order in which they are written. */
  readonly labels: readonly Label[]
}

export interface HistogramInit<Label extends string> extends MetricInit<Label> {
  /** Upper bounds, rising; `+Inf` comes by itself. A function is asked when a series begins. */
  readonly buckets: readonly number[] | (() => readonly number[])
}

export class Counter {
  #value = 0

  /** @param amount not negative */
  inc(amount = 1): void {
    this.#value += amount
  }

  get value(): number {
    return this.#value
  }
}

export class Gauge {
  #value = 0

  set(value: number): void {
    this.#value = value
  }

  inc(amount = 1): void {
    this.#value += amount
  }

  dec(amount = 1): void {
    this.#value -= amount
  }

  get value(): number {
    return this.#value
  }
}

export class BucketHistogram {
  readonly #bounds: readonly number[]
  /** Observations per bucket, not cumulative; the last is `+Inf`. */
  readonly #counts: Float64Array
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    let index = 0
    while (index < this.#bounds.length && value > this.#bounds[index]!) index += 1
    this.#counts[index]! += 1
    this.#sum += value
  }

  get sum(): number {
    return this.#sum
  }

  /** Cumulative, as Prometheus wants them: `[upper bound, count]`, ending with `+Inf`. */
  buckets(): [string, number][] {
    let total = 0
    return Array.from(this.#counts, (count, index) => {
      total += count
      return [index < this.#bounds.length ? String(this.#bounds[index]) : '+Inf', total]
    })
  }
}

type MetricType = 'counter' | 'gauge' | 'histogram'

/**
 * One metric with all its label combinations. `labels()` looks a combination up, so callers on a hot path keep
 * the handle it returns: then counting is one addition.
 */
export class MetricFamily<Label extends string, Handle> {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  readonly #labels: readonly Label[]
  readonly #create: () => Handle
  /** By the values of the family's own labels, together. */
  readonly #byValues = new Map<string, { readonly text: string; readonly handle: Handle }>()
  /** All of them by their text, also those whose labels are others. */
  readonly #byText = new Map<string, Handle>()

  constructor(type: MetricType, init: MetricInit<Label>, create: () => Handle) {
    assert(METRIC_NAME.test(init.name), `${init.name} is no metric name`)
    for (const label of init.labels) assert(LABEL_NAME.test(label), `${label} is no label name`)
    this.type = type
    this.name = init.name
    this.help = init.help
    this.#labels = init.labels
    this.#create = create
  }

  /** The handle for one combination of values, always the same one. Beyond SERIES_MAX all newcomers share one. */
  labels(values: Readonly<Record<Label, string>>): Handle {
    const key = this.#key(values)
    const known = this.#byValues.get(key)
    if (known) return known.handle
    const text = labelsText(this.#labels.map((label) => [label, values[label]]))
    const handle = this.#withText(text)
    if (!handle) return this.#overflow()
    this.#byValues.set(key, { text, handle })
    return handle
  }

  /**
   * The handle for one combination of labels that are others than the family's own; where they turn out to be its own, the
   * same as theirs.
   * @param labels in the order in which they are written, each name once
   */
  relabelled(labels: readonly (readonly [name: string, value: string])[]): Handle {
    for (const [name] of labels) assert(LABEL_NAME.test(name), `${name} is no label name`)
    return this.#withText(labelsText(labels)) ?? this.#overflow()
  }

  /** Drops a combination whose subject is gone. Handles of it count on, unseen. */
  remove(values: Readonly<Record<Label, string>>): void {
    const key = this.#key(values)
    const known = this.#byValues.get(key)
    if (!known) return
    this.#byValues.delete(key)
    this.#byText.delete(known.text)
  }

  /** `[label text, handle]` in the order of creation; the text is `a="1",b="2"`. */
  series(): Iterable<[string, Handle]> {
    return this.#byText
  }

  #key(values: Readonly<Record<Label, string>>): string {
    let key = ''
    for (const label of this.#labels) key += `${values[label]}\u0000`
    return key
  }

  /** Undefined: there are too many. */
  #withText(text: string): Handle | undefined {
    const known = this.#byText.get(text)
    if (known || this.#byText.size >= SERIES_MAX) return known
    return this.#add(text)
  }

  #overflow(): Handle {
    const text = labelsText(this.#labels.map((label) => [label, 'overflow']))
    return this.#byText.get(text) ?? this.#add(text)
  }

  #add(text: string): Handle {
    const handle = this.#create()
    this.#byText.set(text, handle)
    return handle
  }
}

function labelsText(labels: readonly (readonly [name: string, value: string])[]): string {
  return labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(',')
}

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/

type AnyFamily = MetricFamily<never, Counter> | MetricFamily<never, Gauge> | MetricFamily<never, BucketHistogram>

/** The metrics of one process, and their text for Prometheus. */
export class MetricsRegistry {
  readonly #families = new Map<string, AnyFamily>()
  readonly #collectors: (() => void)[] = []

  counter<Label extends string>(init: MetricInit<Label>): MetricFamily<Label, Counter> {
    return this.#register(new MetricFamily('counter', init, () => new Counter()))
  }

  gauge<Label extends string>(init: MetricInit<Label>): MetricFamily<Label, Gauge> {
    return this.#register(new MetricFamily('gauge', init, () => new Gauge()))
  }

  histogram<Label extends string>(init: HistogramInit<Label>): MetricFamily<Label, BucketHistogram> {
    const { name, buckets } = init
    if (typeof buckets !== 'function') assertRising(name, buckets)
    const create = () => {
      if (typeof buckets !== 'function') return new BucketHistogram(buckets)
      const bounds = buckets()
      assertRising(name, bounds)
      return new BucketHistogram(bounds)
    }
    return this.#register(new MetricFamily('histogram', init, create))
  }

  /** Runs before each exposition, to set gauges from state that nobody counts. */
  onCollect(collect: () => void): void {
    this.#collectors.push(collect)
  }

  /** Sorted by name. @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
  expose(): string {
    for (const collect of this.#collectors) collect()
    const families = [...this.#families.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    return families.map((family) => exposeFamily(family)).join('')
  }

  #register<Family extends { readonly name: string }>(family: Family): Family {
    assert(!this.#families.has(family.name), `metric ${family.name} exists already`)
    this.#families.set(family.name, family as unknown as AnyFamily)
    return family
  }
}

function assertRising(name: string, bounds: readonly number[]): void {
  const isRising = bounds.every((bound, index) => index === 0 || bound > bounds[index - 1]!)
  assert(isRising, `the buckets of ${name} do not rise`)
}

/** What `/metrics` answers as its content type. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

function exposeFamily(family: AnyFamily): string {
  const { name, help, type } = family
  let text = `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`
  for (const [labels, handle] of family.series()) {
    if (handle instanceof BucketHistogram) text += exposeHistogram(name, labels, handle)
    else text += `${name}${braces(labels)} ${formatNumber(handle.value)}\n`
  }
  return text
}

function exposeHistogram(name: string, labels: string, histogram: BucketHistogram): string {
  const buckets = histogram.buckets()
  const bound = (le: string) => braces(labels === '' ? `le="${le}"` : `${labels},le="${le}"`)
  const lines = buckets.map(([le, count]) => `${name}_bucket${bound(le)} ${count}\n`)
  const [, total] = buckets.at(-1)!
  return `${lines.join('')}${name}_sum${braces(labels)} ${formatNumber(histogram.sum)}\n${name}_count${braces(labels)} ${total}\n`
}

function braces(labels: string): string {
  return labels === '' ? '' : `{${labels}}`
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function formatNumber(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value)
  return value > 0 ? '+Inf' : '-Inf'
}
