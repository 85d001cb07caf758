/** One line of a bench's table. */
export interface Row {
  readonly work: string
  /** What we are compared with in the same run; `-` where the goal is absolute. */
  readonly peer: string
  readonly unit: string
  /** Median over the rounds. */
  readonly ours: number | null
  readonly theirs: number | null
  /** ours ÷ theirs, of the medians; null without a peer. */
  readonly ratio: number | null
  /** As people read it: `≥ 1.0 ×`, `≤ 2 s`. */
  readonly goal: string
  readonly met: boolean | null
  /** Why a figure is missing, or what bounds it. */
  readonly note?: string
}

export interface SuiteContext {
  readonly rounds: number
  /** What `--set NAME=VALUE` said. */
  readonly options: Readonly<Record<string, string>>
  /** Talk, on stderr. */
  say(line: string): void
}

export interface Suite {
  readonly name: string
  readonly summary: string
  readonly roundsDefault: number
  /** Whether its goals are promises: one that is not met fails the command. @default false */
  readonly isCheck?: boolean
  run(context: SuiteContext): Promise<{ rows: readonly Row[]; versions: Readonly<Record<string, string>> }>
}

/** Declares a suite; the file that default-exports it in `suites/` is its registration. */
export function defineSuite(suite: Suite): Suite {
  return suite
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))]!
}

/** A row against a peer. `atLeast`: ours should be that many times theirs; `atMost`: no more than that many times. */
export function compare(
  init: Pick<Row, 'work' | 'peer' | 'unit' | 'note'> & {
    ours: readonly number[]
    theirs: readonly number[]
    goal: { atLeast: number } | { atMost: number } | undefined
  },
): Row {
  const ours = median(init.ours)
  const theirs = median(init.theirs)
  const ratio = ours / theirs
  const { goal, ...rest } = init
  if (goal === undefined) return { ...rest, ours, theirs, ratio, goal: '', met: null }
  return 'atLeast' in goal
    ? { ...rest, ours, theirs, ratio, goal: `≥ ${goal.atLeast} ×`, met: ratio >= goal.atLeast }
    : { ...rest, ours, theirs, ratio, goal: `≤ ${goal.atMost} ×`, met: ratio <= goal.atMost }
}

/** A row for a peer that is not here. */
export function absent(
  init: Pick<Row, 'work' | 'peer' | 'unit' | 'goal'>,
  ours: readonly number[],
  reason: string,
): Row {
  return { ...init, ours: ours.length > 0 ? median(ours) : null, theirs: null, ratio: null, met: null, note: reason }
}

/** A row without a peer, whose figure is known beforehand. */
export function exact(work: string, ours: number, wanted: number): Row {
  return { work, peer: '-', unit: '', ours, theirs: null, ratio: null, goal: `= ${wanted}`, met: ours === wanted }
}

/** A row without a peer, whose figure has a bound. */
export function bounded(work: string, unit: string, ours: number, most: number): Row {
  return { work, peer: '-', unit, ours, theirs: null, ratio: null, goal: `≤ ${most} ${unit}`.trim(), met: ours <= most }
}

/** A row without a peer, whose figure has no bound. */
export function told(work: string, unit: string, ours: number): Row {
  return { work, peer: '-', unit, ours, theirs: null, ratio: null, goal: '', met: null }
}
