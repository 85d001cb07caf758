/**
 * Runs callbacks when the events of the present turn have been handled: whatever arrived together leaves together, in
 * one system call and one TLS record instead of many.
 */
export type AtTurnEnd = (callback: () => void) => void

const callbacks: (() => void)[] = []

/** After this poll phase of the event loop. One immediate serves every stream of the process. */
export const atTurnEnd: AtTurnEnd = (callback) => {
  if (callbacks.push(callback) === 1) setImmediate(runCallbacks)
}

function runCallbacks(): void {
  // Callbacks that are added meanwhile run too: an immediate set here would wait for a whole turn more.
  for (let index = 0; index < callbacks.length; index += 1) callbacks[index]!()
  callbacks.length = 0
}

/** After the running promise jobs. For simulation, where a turn of the event loop is no unit of time. */
export const atMicrotask: AtTurnEnd = queueMicrotask
