import { parentPort } from 'node:worker_threads'
import { assert, errorMessage, systemClock } from '@ambient-lab/std'
import { LatencyRecorder } from '@ambient-lab/telemetry'
import type { LoadCommand, LoadNews } from './load/load-protocol.ts'
import { createLoadSender } from './load/load-senders.ts'
import { failedProgress } from './load/progress.ts'
import { LoadGenerator } from './load-generator.ts'

/** The thread of every load that this node generates; see LoadGenerator for why it is one of its own. */
assert(parentPort, 'this module is a worker')
const port = parentPort
const wanted = new Map<string, object>()
const running = new Map<string, LoadGenerator>()

port.on('message', (command: LoadCommand) => {
  running.get(command.key)?.[Symbol.dispose]()
  running.delete(command.key)
  wanted.delete(command.key)
  if (command.type === 'start') void start(command)
})

async function start(command: Extract<LoadCommand, { type: 'start' }>): Promise<void> {
  const { key, run, capture } = command
  const send = (news: LoadNews) => port.postMessage(news)
  wanted.set(key, command)
  try {
    const sender = createLoadSender(run, capture, systemClock)
    const recorder = await LatencyRecorder.create()
    if (wanted.get(key) !== command) return // stopped or replaced while the library was loaded
    const onProgress = (progress: LoadNews['progress']) => send({ key, progress })
    running.set(key, new LoadGenerator(run, { clock: systemClock, sender, recorder, onProgress }))
  } catch (error) {
    send({ key, progress: failedProgress(run, systemClock.now(), errorMessage(error)) })
  }
}
