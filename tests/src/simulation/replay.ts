/** Which of what a seed drew is to happen, by number; the rest is left out, and nothing else is drawn otherwise. */
export interface Keep {
  readonly faults: ReadonlySet<number>
  readonly connections: ReadonlySet<number>
}

/** The command that runs one seed again, or the part of it that was kept. */
export function replayCommand({ seed, keep }: { readonly seed: number; readonly keep?: Keep }): string {
  const kept = keep ? ` AMBIENT_KEEP=${formatKeep(keep)}` : ''
  return `AMBIENT_SEED=${seed} AMBIENT_SEEDS=1${kept} npx vitest run --project @ambient-lab/tests simulation/simulation`
}

/** `f2`: the second fault; `c7`: the seventh connection. */
export type Incident = `f${number}` | `c${number}`

export function incidentsOf({ faults, connections }: Keep): Incident[] {
  return [...[...faults].map((index) => `f${index}` as const), ...[...connections].map((index) => `c${index}` as const)]
}

export function keepOf(incidents: readonly string[]): Keep {
  const numbers = (letter: string) =>
    new Set(incidents.flatMap((incident) => (incident.startsWith(letter) ? [Number(incident.slice(1))] : [])))
  return { faults: numbers('f'), connections: numbers('c') }
}

/** `f2,f5,c7`; `-`: nothing. */
function formatKeep(keep: Keep): string {
  return incidentsOf(keep).join() || '-'
}
