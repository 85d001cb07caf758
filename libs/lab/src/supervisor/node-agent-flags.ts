/**
 * How V8 keeps house in a node agent, a program that stays for days and has a heap for each of its threads.
 *
 * V8 would keep the memory of a thread that ended for the next one; an agent that has let its threads go wants none.
 *
 * The young generation of a heap that works grows to 16 MiB twice over, and never shrinks while a little work goes on. A
 * quarter of that fits a core's cache, and no cost of it could be measured (docs/PERFORMANCE.md, "A smaller young
 * generation").
 */
export const NODE_AGENT_FLAGS: readonly string[] = [
  '--no-memory-pool-share-memory-on-teardown',
  '--max-semi-space-size=4',
]
