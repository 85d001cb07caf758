import type { LinkFault, Reject } from '@ambient-lab/xds'

/** What injects faults; takes the whole list each time. */
export interface LinkFaultSink {
  set(faults: readonly LinkFault[]): void
}

/** Turns the control plane's pushes into the list of faults that this node has to inject. */
export class LinkFaultFeed {
  readonly #sink: LinkFaultSink
  readonly #faults = new Map<string, LinkFault>()

  constructor(sink: LinkFaultSink) {
    this.#sink = sink
  }

  /** @returns the faults that no link could have, each with its reason; they keep their former version */
  apply(
    upserts: readonly { readonly name: string; readonly resource: unknown }[],
    removed: readonly string[],
  ): Reject['errors'] {
    const errors: { name: string; reason: string }[] = []
    for (const name of removed) this.#faults.delete(name)
    for (const { name, resource } of upserts) {
      const fault = resource as LinkFault
      const reason = reasonToRefuse(fault)
      if (reason === undefined) this.#faults.set(name, fault)
      else errors.push({ name, reason })
    }
    this.#sink.set([...this.#faults.values()])
    return errors
  }
}

function reasonToRefuse({ type, from, to, delayMs, jitterMs }: LinkFault): string | undefined {
  if (type !== 'delay' && type !== 'partition') return `a link cannot have a fault of type ${String(type)}`
  if (!Array.isArray(from) || !Array.isArray(to)) return 'from and to are lists of nodes'
  if (type === 'partition') return undefined
  return delayMs >= 0 && jitterMs >= 0 && Number.isFinite(delayMs + jitterMs)
    ? undefined
    : `delay ${delayMs} ms ± ${jitterMs} ms is no delay`
}
