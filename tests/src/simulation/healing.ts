import type { Clock } from '@ambient-lab/std'

type Heal = () => void | Promise<void>

/** What is broken, and how each of it heals: when its time is over, or with everything. */
export class Healing {
  readonly #clock: Clock
  readonly #note: (event: string) => void
  readonly #broken = new Map<string, { readonly heal: Heal; readonly cancel: () => void }>()

  constructor(components: { readonly clock: Clock; readonly note: (event: string) => void }) {
    this.#clock = components.clock
    this.#note = components.note
  }

  /** @param name what broke; of two of one name the second takes the place of the first */
  break(name: string, durationMs: number, heal: Heal): void {
    this.#note(name)
    this.#broken.get(name)?.cancel()
    const cancel = this.#clock.schedule(durationMs, () => void this.#heal(name))
    this.#broken.set(name, { heal, cancel })
  }

  /** Everything heals now. */
  async healAll(): Promise<void> {
    for (const [name, { cancel }] of [...this.#broken]) {
      cancel()
      await this.#heal(name)
    }
  }

  async #heal(name: string): Promise<void> {
    const broken = this.#broken.get(name)
    this.#broken.delete(name)
    if (!broken) return
    this.#note(`healed: ${name}`)
    await broken.heal()
  }
}
