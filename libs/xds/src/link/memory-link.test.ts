import { VirtualClock } from '@ambient-lab/std'
import { expect, it } from 'vitest'
import { createMemoryLinkPair } from './memory-link.ts'
import { ACK, type LinkPair, messageLinkConformance, record } from './message-link.conformance.ts'

async function open(): Promise<LinkPair> {
  const clock = new VirtualClock()
  const pair = createMemoryLinkPair(clock, { latencyMs: 2 })
  return {
    ...pair,
    clock,
    until: async (condition) => {
      for (let step = 0; step < 1000 && !condition(); step += 1) await clock.advance(1)
      expect(condition()).toBe(true)
    },
    sendRaw: (text) => pair.agent.sendText(text),
    [Symbol.asyncDispose]: async () => {},
  }
}

messageLinkConformance('memory link', open)

it('delivers after its latency and not before', async () => {
  const clock = new VirtualClock()
  const { agent, controlPlane } = createMemoryLinkPair(clock, { latencyMs: 10 })
  const heard = record(controlPlane)
  agent.send(ACK)
  await clock.advance(9)
  expect(heard.messages).toEqual([])
  await clock.advance(1)
  expect(heard.messages).toEqual([ACK])
})

it('loses what was under way when it is cut, and tells both ends', async () => {
  const clock = new VirtualClock()
  const { agent, controlPlane } = createMemoryLinkPair(clock, { latencyMs: 10 })
  const [near, far] = [record(agent), record(controlPlane)]
  agent.send(ACK)
  controlPlane.cut()
  await clock.advance(100)
  expect(far.messages).toEqual([])
  expect([near.closed[0]?.code, far.closed[0]?.code]).toEqual(['LINK_DEAD', 'LINK_DEAD'])
})
