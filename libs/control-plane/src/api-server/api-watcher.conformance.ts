import type { IncomingMessage } from 'node:http'
import { type Clock, type Random, sleep } from '@ambient-lab/std'
import type { StoreEvent } from '../store/store.ts'
import type { ApiHistory } from './api-history.conformance.ts'
import type { InProcessApi } from './in-process-api.conformance.ts'
import { eventType } from './watch-stream.ts'

/** One list and what was watched from there on, over any number of connections. */
interface Stretch {
  readonly from: number
  readonly events: string[]
  /** As far as its caller knows that it knows everything. */
  cursor: number
}

export interface ApiWatcherInit {
  readonly path: string
  /** More of the query. */
  readonly selector: string
  readonly api: () => InProcessApi
  readonly clock: Clock
  readonly random: Random
}

/** Lists, watches from there, comes back where it was when the connection ends, and lists again when it is told to. */
export class ApiWatcher {
  readonly #init: ApiWatcherInit
  readonly #stretches: Stretch[] = []
  #isHurried = false

  constructor(init: ApiWatcherInit) {
    this.#init = init
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const stretch = this.#stretches.at(-1)
      const goesOn = stretch && (await this.#watch(stretch, signal))
      if (!goesOn) await this.#list()
      await sleep(this.#init.clock, this.#init.random.integer(300))
    }
  }

  /** Reads without rest from now on, and stays. */
  hurry(): void {
    this.#isHurried = true
  }

  /** @returns what it was not told, or told wrongly */
  contradictions(history: ApiHistory, last: number): string[] {
    return this.#stretches.flatMap(({ from, events, cursor }, index) => {
      const isLast = index === this.#stretches.length - 1
      const until = isLast ? last : cursor
      const expected = history.events
        .filter(({ revision }) => revision > from && revision <= until)
        .flatMap((event) => this.#lineOf(event) ?? [])
      const isSame = expected.join() === events.join()
      return isSame
        ? []
        : [`a watcher ${this.#init.selector} saw ${events.join()} after ${from}, there was ${expected.join()}`]
    })
  }

  #lineOf(event: StoreEvent): string | undefined {
    const isRed = this.#init.selector.startsWith('labelSelector')
    const type = eventType(event, ({ metadata }) => !isRed || metadata.labels?.color === 'red')
    return type && `${type} ${event.object.metadata.name} ${event.revision}`
  }

  async #list(): Promise<void> {
    const { api, path, selector } = this.#init
    const answer = await api().call('GET', `${path}?${selector}`)
    if (answer?.status !== 200) return
    const from = Number(answer.body.metadata.resourceVersion)
    this.#stretches.push({ from, events: [], cursor: from })
  }

  /** @returns whether the same stretch may go on */
  async #watch(stretch: Stretch, signal: AbortSignal): Promise<boolean> {
    const { api, path, selector, random } = this.#init
    const query = `watch=true&resourceVersion=${stretch.cursor}&${selector}`
    const response = await api().watch(`${path}?${query}`)
    if (!response) return true
    const leave = () => response.destroy()
    signal.addEventListener('abort', leave)
    const cancel =
      !this.#isHurried && random.integer(3) === 0 ? this.#init.clock.schedule(random.integer(4_000), leave) : () => {}
    try {
      return await this.#read(response, stretch)
    } catch {
      return true // the connection broke: from where it was
    } finally {
      cancel()
      signal.removeEventListener('abort', leave)
    }
  }

  async #read(response: IncomingMessage, stretch: Stretch): Promise<boolean> {
    const { clock, random } = this.#init
    let rest = ''
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        const { type, object } = JSON.parse(line)
        if (type === 'ERROR') return object.code !== 410
        stretch.cursor = Number(object.metadata.resourceVersion)
        if (type !== 'BOOKMARK') stretch.events.push(`${type} ${object.metadata.name} ${stretch.cursor}`)
      }
      if (!this.#isHurried && random.integer(4) === 0) await sleep(clock, random.integer(1_500))
    }
    return true
  }
}
