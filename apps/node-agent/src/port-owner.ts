import { isAlive, readProcessRecords } from '@ambient-lab/std'

/** `: node-agent n2 (pid 4711) has it`, for a port that another process of this lab holds; otherwise how to find out. */
export function describePortOwner(processes: string, where: string | undefined): string {
  const port = Number(where?.split(':').at(-1))
  const owner = readProcessRecords(processes).find(
    (record) => isAlive(record) && Object.values(record.ports).includes(port),
  )
  return owner ? `: ${owner.role} ${owner.name} (pid ${owner.pid}) has it` : ` by a process outside of this lab`
}
