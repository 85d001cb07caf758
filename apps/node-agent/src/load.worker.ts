import { parentPort } from 'node:worker_threads'
import { assert, errorMessage, systemClock } from '@ambient-lab/std'
import { createLatencyRecorder } from './load/latency-recorder.ts'
import type { LoadCommand, LoadNews } from './load/load-protocol.ts'
import { createLoadSender } from './load/load-senders.ts'
import { failedProgress } from './load/progress.ts'
import { LoadGenerator } from './load-generator.ts'

/** The thread of every load that this node generates; see LoadGenerator for why it is one of its own. */
assert(parentPort, 'this module is a worker')
const port = parentPort
const running = new Map<string, LoadGenerator>()

port.on('message', (command: LoadCommand) => {
  running.get(command.key)?.[Symbol.dispose]()
  running.delete(command.key)
  if (command.type === 'start') start(command)
})

function start({ key, run, capture }: Extract<LoadCommand, { type: 'start' }>): void {
  const send = (news: LoadNews) => port.postMessage(news)
  try {
    const generator = new LoadGenerator(run, {
      clock: systemClock,
      sender: createLoadSender(run, capture, systemClock),
      createRecorder: createLatencyRecorder,
      onProgress: (progress) => send({ key, progress }),
    })
    running.set(key, generator)
  } catch (error) {
    send({ key, progress: failedProgress(run, systemClock.now(), errorMessage(error)) })
  }
}
