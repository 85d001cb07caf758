import type { ProcessView, SupervisedProcess } from '@ambient-lab/lab'
import { formatAge } from '@ambient-lab/std'

export interface ProcessRow {
  readonly role: string
  readonly name: string
  readonly pid: number | null
  /** Whether the kernel has it. */
  readonly alive: boolean
  /** The supervisor's word for it where it has one: starting, held; else alive or dead. */
  readonly state: string
  readonly age: string
  readonly ports: Readonly<Record<string, number>>
}

/**
 * What the records say, corrected by what the supervisor knows: processes that have written no record yet, and those
 * that a fault holds down. Pure.
 */
export function processRows(
  records: readonly ProcessView[],
  supervised: readonly SupervisedProcess[],
  nowMs: number,
): ProcessRow[] {
  const fromRecords = records.map(({ role, name, pid, alive, startedAt, ports }): ProcessRow => {
    const known = supervised.find((entry) => entry.role === role && (entry.name === name || role === 'control-plane'))
    const state = alive ? (known?.state ?? 'alive') : known?.state === 'held' ? 'held' : 'dead'
    return {
      role,
      name,
      pid,
      alive,
      state: state === 'ready' ? 'alive' : state,
      age: formatAge(nowMs - Date.parse(startedAt)),
      ports,
    }
  })
  const unrecorded = supervised
    .filter(
      ({ role, name }) =>
        !records.some((record) => record.role === role && (record.name === name || role === 'control-plane')),
    )
    .map(
      ({ role, name, pid, state }): ProcessRow => ({
        role,
        name,
        pid,
        alive: state === 'ready' || state === 'starting',
        state,
        age: '-',
        ports: {},
      }),
    )
  return [...fromRecords, ...unrecorded]
}
