const ROUND_MS = 500
const ROUNDS = 3

/** How often `work` is done in one second of one processor: the best of three rounds, after one that does not count. */
export function perSecond(work: () => unknown): number {
  let best = 0
  for (let round = 0; round <= ROUNDS; round += 1) {
    const rate = oneRound(work)
    if (round > 0) best = Math.max(best, rate)
  }
  return best
}

/** Processor time and not the clock's: the machine may have other things to do. */
function oneRound(work: () => unknown): number {
  const before = process.cpuUsage()
  let done = 0
  for (;;) {
    // Asking for the processor time costs microseconds: it is asked for now and then where work is short.
    const batch = done < 100 ? 1 : 100
    for (let index = 0; index < batch; index += 1) work()
    done += batch
    const { user, system } = process.cpuUsage(before)
    const spentMs = (user + system) / 1000
    if (spentMs >= ROUND_MS) return (done * 1000) / spentMs
  }
}
