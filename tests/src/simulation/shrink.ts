import { type Incident, incidentsOf, type Keep, keepOf } from './replay.ts'
import { SimulationError, type SimulationInit, simulate } from './simulation.ts'

/** Runs that a reduction may take: some seconds. */
const RUNS_MAX = 200

/**
 * Runs one seed; if it breaks a promise, looks for a small part of its faults and connections that breaks the same one.
 * @throws SimulationError of the smallest part that was found
 */
export async function examine(init: SimulationInit): Promise<void> {
  const failure = await failureOf(init)
  if (failure) throw await shrink(init, failure)
}

/**
 * Leaves out one half, then quarters, and so on down to single incidents, as long as the same checker still fails.
 * @see Zeller, Hildebrandt: "Simplifying and Isolating Failure-Inducing Input" (2002), ddmin by complements
 */
export async function shrink(init: SimulationInit, failure: SimulationError): Promise<SimulationError> {
  let smallest = failure
  let kept: readonly Incident[] = incidentsOf(init.keep ?? drawn(failure))
  let runs = 0
  for (let size = Math.ceil(kept.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < kept.length && runs < RUNS_MAX; runs += 1) {
      const fewer = [...kept.slice(0, from), ...kept.slice(from + size)]
      const still = await failureOf({ ...init, keep: keepOf(fewer) })
      if (still?.checker === failure.checker) {
        kept = fewer
        smallest = still
      } else {
        from += size
      }
    }
  }
  return smallest
}

async function failureOf(init: SimulationInit): Promise<SimulationError | undefined> {
  try {
    await simulate(init)
    return undefined
  } catch (error) {
    if (error instanceof SimulationError) return error
    throw error
  }
}

function drawn({ scenario }: SimulationError): Keep {
  const numbers = (count: number) => new Set(Array.from({ length: count }, (_, index) => index + 1))
  return { faults: numbers(scenario.incidents), connections: numbers(scenario.connections) }
}
