import type { Clock } from '@ambient-lab/std'
import { ENCODED_CHARACTERS_MAX, ENCODED_KEPT_MS } from './limits.ts'
import type { ControlPlaneMessage, Delta } from './messages.ts'

export type Encode<Message> = (message: Message) => string

/**
 * Writes messages to agents as JSON. What a hundred agents are told is written once: they are told within the same
 * milliseconds, so a resource's text is kept for a moment. Right only for resources that are never modified.
 */
export class DeltaEncoder {
  readonly #clock: Clock
  #texts = new Map<unknown, string>()
  #characters = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  readonly encode: Encode<ControlPlaneMessage> = (message) =>
    message.type === 'delta' ? this.#delta(message) : JSON.stringify(message)

  #delta({ upserts, ...rest }: Delta): string {
    const texts = upserts.map(({ name, version, resource }) => {
      return `{"name":${JSON.stringify(name)},"version":${JSON.stringify(version)},"resource":${this.#textOf(resource)}}`
    })
    return `${JSON.stringify(rest).slice(0, -1)},"upserts":[${texts.join(',')}]}`
  }

  #textOf(resource: unknown): string {
    const known = this.#texts.get(resource)
    if (known !== undefined) return known
    const text = JSON.stringify(resource)
    if (this.#characters + text.length > ENCODED_CHARACTERS_MAX) this.#forget()
    if (this.#texts.size === 0) this.#clock.schedule(ENCODED_KEPT_MS, () => this.#forget(), { background: true })
    this.#texts.set(resource, text)
    this.#characters += text.length
    return text
  }

  #forget(): void {
    this.#texts = new Map()
    this.#characters = 0
  }
}
