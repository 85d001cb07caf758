import type { Clock } from '@ambient-lab/std'
import {
  type ContainerObserver,
  type ContainerRunner,
  type ContainerState,
  CREATING,
  type HostPort,
} from './container.ts'
import { knownImages } from './images.ts'
import { type Check, Probe, TCP_PROBE_TIMES } from './probe.ts'

/** An image that the lab cannot play, without a command that it could run: it waits, and says what would help. */
export class MissingImage implements ContainerRunner {
  readonly state: ContainerState

  constructor(image: string, observer: ContainerObserver) {
    const message =
      `the lab pulls no images and does not know "${image}"; give the container a command, ` +
      `annotate the pod with ambient.lab/endpoint, or use one of: ${knownImages().join(', ')}`
    this.state = { ...CREATING, reason: 'ErrImageNeverPull', message }
    observer.onEvent(
      'Warning',
      'ErrImageNeverPull',
      `Container image "${image}" is not present with pull policy of Never`,
    )
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }

  log(): Promise<readonly string[]> {
    return Promise.resolve([])
  }
}

/** `ambient.lab/endpoint`: something that somebody else runs. It is ready when it accepts; it is never ours to stop. */
export class ExternalEndpoint implements ContainerRunner {
  readonly #probe: Probe
  #state: ContainerState

  constructor(
    endpoint: HostPort,
    containerPorts: readonly number[],
    observer: ContainerObserver,
    components: { readonly clock: Clock; readonly check: Check },
  ) {
    // Whatever port of the pod is dialled, there is only this one place to reach.
    const ports = Object.fromEntries(
      (containerPorts.length > 0 ? containerPorts : [endpoint.port]).map((port) => [port, endpoint]),
    )
    const startedAtMs = components.clock.now()
    this.#state = { ...CREATING, phase: 'running', reason: '', message: 'waiting for the endpoint', startedAtMs, ports }
    const { clock, check } = components
    const init = { times: TCP_PROBE_TIMES, well: false }
    this.#probe = new Probe({ clock, check: () => check(endpoint) }, init, (ready, failure) => {
      this.#state = { ...this.#state, ready, message: failure }
      observer.onChange()
      if (!ready) observer.onEvent('Warning', 'Unhealthy', `Readiness probe failed: ${failure}`)
    })
  }

  get state(): ContainerState {
    return this.#state
  }

  stop(): Promise<void> {
    this.#probe.stop()
    return Promise.resolve()
  }

  log(): Promise<readonly string[]> {
    return Promise.resolve(['this workload runs outside of the lab (ambient.lab/endpoint): its log is not ours'])
  }
}

/** `host:port`, `[::1]:port`. @returns undefined for anything else */
export function parseEndpoint(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port < 1 || port > 65535) return undefined
  return { host: (match[1] ?? match[2])!, port }
}
