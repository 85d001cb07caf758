import { type Clock, CodedError } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import type { AgentMessage, ControlPlaneMessage } from '../messages.ts'
import { NODE_TYPE } from '../resources/index.ts'
import type { MessageLink } from './message-link.ts'

export interface LinkPair extends AsyncDisposable {
  readonly agent: MessageLink<ControlPlaneMessage, AgentMessage>
  readonly controlPlane: MessageLink<AgentMessage, ControlPlaneMessage>
  readonly clock: Clock
  /** Lets time pass until the condition holds. */
  until(condition: () => boolean): Promise<void>
  /** Sends raw text from the agent's end. */
  sendRaw(text: string): void
}

export const ACK = { type: 'ack', typeUrl: NODE_TYPE, nonce: '1' } as const satisfies AgentMessage

const REASON = new CodedError('SHUTTING_DOWN', 'the test is over')

/** What each end of a link heard, in order. */
export function record<Incoming>(link: Pick<MessageLink<Incoming, never>, 'start'>) {
  const heard = { messages: [] as Incoming[], closed: [] as CodedError[], drained: 0 }
  link.start({
    onMessage: (message) => heard.messages.push(message),
    onClose: (reason) => heard.closed.push(reason),
    onDrain: () => {
      heard.drained += 1
    },
  })
  return heard
}

/** The promises of MessageLink, for each implementation. */
export function messageLinkConformance(name: string, open: () => Promise<LinkPair>): void {
  describe(`${name} keeps the promises of MessageLink`, () => {
    it('delivers messages in order, one for one', async () => {
      await using pair = await open()
      const heard = record(pair.controlPlane)
      record(pair.agent)
      for (let nonce = 0; nonce < 50; nonce += 1) pair.agent.send({ ...ACK, nonce: String(nonce) })
      await pair.until(() => heard.messages.length === 50)
      expect(heard.messages.map((message) => 'nonce' in message && message.nonce)).toEqual(
        Array.from({ length: 50 }, (_, nonce) => String(nonce)),
      )
    })

    it('holds messages back until it is started', async () => {
      await using pair = await open()
      record(pair.agent)
      pair.agent.send(ACK)
      let turns = 0
      await pair.until(() => ++turns > 3)
      const heard = record(pair.controlPlane)
      await pair.until(() => heard.messages.length === 1)
      expect(heard.messages).toEqual([ACK])
    })

    it('tells the peer why it was closed, after what was sent before', async () => {
      await using pair = await open()
      const heard = record(pair.controlPlane)
      const own = record(pair.agent)
      pair.agent.send(ACK)
      pair.agent.close(REASON)
      pair.agent.close(REASON)
      await pair.until(() => heard.closed.length > 0 && own.closed.length > 0)
      expect(heard.messages).toEqual([ACK])
      expect(heard.closed.map(({ code, message }) => [code, message])).toEqual([['SHUTTING_DOWN', 'the test is over']])
      expect(own.closed.map(({ code }) => code)).toEqual(['SHUTTING_DOWN'])
    })

    it('drops what is sent after the close, in silence', async () => {
      await using pair = await open()
      const heard = record(pair.controlPlane)
      const own = record(pair.agent)
      pair.agent.close(REASON)
      expect(pair.agent.send(ACK)).toBe(true)
      await pair.until(() => heard.closed.length > 0 && own.closed.length > 0)
      pair.agent.send(ACK)
      expect(heard.messages).toEqual([])
    })

    it.each([
      ['no JSON', '{', 'not JSON'],
      ['an unknown type', '{"type":"sesame"}', 'unknown message type "sesame"'],
      ['a name of Object', '{"type":"constructor"}', 'unknown message type "constructor"'],
      ['a missing field', '{"type":"ack","nonce":"1"}', 'ack.typeUrl is none of'],
      ['a field of the wrong type', '{"type":"sign","id":"1","csrPem":"","ttlSeconds":1}', 'sign.id is not a number'],
    ])('closes on %s, and says what is wrong', async (_, text, message) => {
      await using pair = await open()
      const heard = record(pair.controlPlane)
      const own = record(pair.agent)
      pair.sendRaw(text)
      await pair.until(() => heard.closed.length > 0 && own.closed.length > 0)
      expect(heard.messages).toEqual([])
      expect(heard.closed[0]!.code).toBe('MALFORMED_MESSAGE')
      expect(own.closed[0]!.code).toBe('MALFORMED_MESSAGE')
      expect(own.closed[0]!.message).toContain(message)
    })

    it('answers false above the high mark, and tells when it has drained', async () => {
      await using pair = await open()
      const own = record(pair.agent)
      let sent = 1
      const big: AgentMessage = { type: 'nack', typeUrl: NODE_TYPE, nonce: 'n'.repeat(50_000), errors: [] }
      while (pair.agent.send(big)) sent += 1
      expect(own.drained).toBe(0)
      const heard = record(pair.controlPlane)
      await pair.until(() => heard.messages.length === sent && own.drained > 0)
      expect(own.drained).toBe(1)
    })
  })
}
