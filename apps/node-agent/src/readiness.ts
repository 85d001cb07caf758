import type { TypeUrl } from '@ambient-lab/xds'

/**
 * What has to happen once before the agent can serve. It never becomes unready again: without its control plane it
 * serves from what it knows, and a probe that said otherwise would take it out of service for nothing.
 */
export class Readiness {
  readonly #pendingTypes: () => readonly TypeUrl[]
  #joined = false
  #complete = false

  constructor(components: { readonly pendingTypes: () => readonly TypeUrl[] }) {
    this.#pendingTypes = components.pendingTypes
  }

  joined(): void {
    this.#joined = true
  }

  pending(): readonly string[] {
    if (this.#complete) return []
    const pending = [
      ...(this.#joined ? [] : ['control plane connection']),
      ...this.#pendingTypes().map((typeUrl) => typeUrl.split('.').at(-1)!),
    ]
    this.#complete = pending.length === 0
    return pending
  }
}
