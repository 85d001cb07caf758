import { Probe } from './probe.ts'
import { routePath, serviceName } from './world.ts'

const CONNECTIONS = 30

/** Requests to many services at a fixed rate, on connections that stay open; what fails is told. */
export class SteadyLoad {
  readonly failures: string[] = []
  sent = 0
  completed = 0
  readonly #probes: readonly { readonly probe: Probe; readonly path: string; busy: boolean }[]
  readonly #timer: NodeJS.Timeout
  readonly #perMs: number
  readonly #startedMs = performance.now()
  #at = 0

  private constructor(probes: readonly Probe[], services: readonly number[], perSecond: number) {
    this.#probes = probes.map((probe, index) => ({ probe, path: routePath(services[index]!), busy: false }))
    this.#perMs = perSecond / 1000
    this.#timer = setInterval(() => this.#send(), 1)
  }

  static async start(
    capture: { readonly host: string; readonly port: number },
    { services, perSecond }: { readonly services: number; readonly perSecond: number },
  ): Promise<SteadyLoad> {
    const chosen = Array.from({ length: CONNECTIONS }, (_, index) => Math.floor((index * services) / CONNECTIONS))
    const probes = await Promise.all(chosen.map((service) => Probe.open(capture, serviceName(service))))
    return new SteadyLoad(probes, chosen, perSecond)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    while (this.sent > this.completed + this.failures.length) await new Promise((resolve) => setTimeout(resolve, 5))
    for (const { probe } of this.#probes) probe.close()
  }

  get perSecond(): number {
    return (this.completed * 1000) / (performance.now() - this.#startedMs)
  }

  /** As many as are due, on connections that are free: one that waits for its answer is passed over. */
  #send(): void {
    const due = (performance.now() - this.#startedMs) * this.#perMs
    for (let tries = 0; tries < this.#probes.length && this.sent < due; tries += 1) {
      this.#at = (this.#at + 1) % this.#probes.length
      const one = this.#probes[this.#at]!
      if (one.busy) continue
      one.busy = true
      this.sent += 1
      one.probe
        .ask(one.path)
        .then(
          ({ status, revision }) => {
            if (status === 200 && revision >= 0) this.completed += 1
            else this.failures.push(`${one.path}: ${status}, revision ${revision}`)
          },
          (error: Error) => this.failures.push(`${one.path}: ${error.message}`),
        )
        .finally(() => {
          one.busy = false
        })
    }
  }
}
