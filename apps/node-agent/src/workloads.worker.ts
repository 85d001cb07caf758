import { parentPort } from 'node:worker_threads'
import { assert, errorMessage, systemClock, unseededRandom } from '@ambient-lab/std'
import { AppContainer } from './hosting/app-container.ts'
import type { WorkloadsCommand, WorkloadsNews } from './hosting/worker-protocol.ts'

/**
 * The thread of every simulated workload of this node: their CPU never counts as the proxy's, and an app that throws
 * outside a request ends this thread, never the ztunnel. Logs stay here until somebody asks, so that a busy app does not
 * cost the main thread a message for each request.
 */
assert(parentPort, 'this module is a worker')
const port = parentPort
const components = { clock: systemClock, random: unseededRandom() }
const running = new Map<number, Promise<AppContainer>>()

port.on('message', (command: WorkloadsCommand) => {
  switch (command.type) {
    case 'start':
      return start(command)
    case 'mount':
      return void mount(command)
    case 'stop':
      return void stop(command.run)
    case 'log':
      return void tell(command)
  }
})

function start({ run, ...init }: Extract<WorkloadsCommand, { type: 'start' }>): void {
  const starting = AppContainer.start(init, components)
  running.set(run, starting)
  starting.then(
    ({ ports }) => send({ type: 'started', run, ports }),
    (error) => {
      running.delete(run)
      send({ type: 'failed', run, message: errorMessage(error) })
    },
  )
}

async function mount({ run, files }: Extract<WorkloadsCommand, { type: 'mount' }>): Promise<void> {
  const container = await running.get(run)?.catch(() => undefined)
  container?.files.replace(files)
}

async function stop(run: number): Promise<void> {
  const container = await running.get(run)?.catch(() => undefined)
  running.delete(run)
  await container?.stop()
  send({ type: 'stopped', run })
}

async function tell({ run, question, linesMax }: Extract<WorkloadsCommand, { type: 'log' }>): Promise<void> {
  const container = await running.get(run)?.catch(() => undefined)
  send({ type: 'log', question, lines: container?.log.tail(linesMax) ?? [] })
}

function send(news: WorkloadsNews): void {
  port.postMessage(news)
}
