import { EventEmitter } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { expect, test } from 'vitest'
import { IDLE_THREAD_MS } from '../limits.ts'
import type { ContainerContext } from './container.ts'
import { SimulatedWorkloads } from './simulated-workloads.ts'
import type { WorkloadsCommand } from './worker-protocol.ts'

/** A thread that is only what its owner sees of it. */
class FakeWorker extends EventEmitter {
  readonly commands: WorkloadsCommand[] = []
  ended = false

  postMessage(command: WorkloadsCommand): void {
    this.commands.push(command)
    if (command.type === 'stop') this.emit('message', { type: 'stopped', run: command.run })
  }

  unref(): void {}

  async terminate(): Promise<number> {
    this.ended = true
    this.emit('exit', 1)
    return 1
  }
}

const OBSERVER = { onChange: () => {} } as never

test('a thread without anything to run is let go, and another one starts when it is needed', async () => {
  const clock = new VirtualClock()
  const workers: FakeWorker[] = []
  const spawn = () => {
    const worker = new FakeWorker()
    workers.push(worker)
    return worker as unknown as Worker
  }
  await using simulated = new SimulatedWorkloads({ clock, random: new SeededRandom(1), spawn }, { host: '127.0.0.1' })
  const context = { pod: {}, spec: {}, capture: undefined } as unknown as ContainerContext
  simulated.prestart()
  await clock.advance(IDLE_THREAD_MS / 2)
  const container = simulated.run(context, OBSERVER)
  await clock.advance(2 * IDLE_THREAD_MS)
  expect(workers.map(({ ended }) => ended)).toEqual([false])

  await container.stop()
  await clock.advance(2 * IDLE_THREAD_MS)
  expect(workers.map(({ ended }) => ended)).toEqual([true])

  simulated.run(context, OBSERVER)
  expect(workers).toHaveLength(2)
  expect(workers[1]!.commands.map(({ type }) => type)).toEqual(['start'])
  await clock.advance(2 * IDLE_THREAD_MS)
  expect(workers[1]!.ended).toBe(false)
})
