import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock, VirtualClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { expect, it } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { decodeAgentMessage, decodeControlPlaneMessage } from '../decode.ts'
import { discoveryError } from '../errors.ts'
import { CLOSE_DEADLINE_MS } from '../limits.ts'
import type { AgentMessage, ControlPlaneMessage } from '../messages.ts'
import { ACK, type LinkPair, messageLinkConformance, record } from './message-link.conformance.ts'
import type { MessageLink } from './message-link.ts'
import { createWsLinkAcceptor, dialWsLink, WsLink } from './ws-link.ts'

const NO_TLS = { ca: '', cert: '', key: '' }

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** Plain WebSocket: TLS belongs to the server that hands the upgrade over. */
async function open(): Promise<LinkPair> {
  const server = createServer()
  const accepted = Promise.withResolvers<MessageLink<AgentMessage, ControlPlaneMessage>>()
  const acceptor = createWsLinkAcceptor(systemClock, (link) => accepted.resolve(link))
  server.on('upgrade', (request, socket, head) => acceptor.accept(request, socket, head))
  const socket = new WebSocket(`ws://127.0.0.1:${await listen(server)}/discovery`)
  await once(socket, 'open')
  return {
    agent: new WsLink(socket, systemClock, decodeControlPlaneMessage),
    controlPlane: await accepted.promise,
    clock: systemClock,
    until: async (condition) => {
      await eventually(condition)
    },
    sendRaw: (text) => socket.send(text),
    [Symbol.asyncDispose]: async () => {
      socket.terminate()
      server.close()
      server.closeAllConnections()
    },
  }
}

messageLinkConformance('WebSocket link', open)

it('refuses to dial what does not answer', async () => {
  const server = createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  const dial = dialWsLink({ url: `ws://127.0.0.1:${port}/discovery`, tls: NO_TLS, clock: systemClock })
  await expect(dial).rejects.toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE', retry: 'yes' })
})

it('gives up a peer that is silent for three seconds', async () => {
  const clock = new VirtualClock()
  const server = createServer()
  // Completes the handshake and then neither reads nor writes.
  const frozen: WebSocket[] = []
  const wss = new WebSocketServer({ noServer: true, autoPong: false })
  server.on('upgrade', (request, socket, head) => {
    wss.handleUpgrade(request, socket, head, (accepted) => {
      accepted.pause()
      frozen.push(accepted)
    })
  })
  const link = await dialWsLink({ url: `ws://127.0.0.1:${await listen(server)}/`, tls: NO_TLS, clock })
  const heard = record(link)
  await clock.advance(3000)
  expect(heard.closed).toEqual([])
  await clock.advance(1000)
  await eventually(() => heard.closed.length > 0)
  expect(heard.closed.map(({ code }) => code)).toEqual(['LINK_DEAD'])
  for (const socket of frozen) socket.terminate()
  server.close()
})

it('does not wait for a peer that does not answer its close', async () => {
  const clock = new VirtualClock()
  const server = createServer()
  const wss = new WebSocketServer({ noServer: true })
  const frozen: WebSocket[] = []
  server.on('upgrade', (request, socket, head) => {
    wss.handleUpgrade(request, socket, head, (accepted) => {
      accepted.pause()
      frozen.push(accepted)
    })
  })
  const link = await dialWsLink({ url: `ws://127.0.0.1:${await listen(server)}/`, tls: NO_TLS, clock })
  const heard = record(link)
  link.close(discoveryError('SHUTTING_DOWN', 'bye'))
  await clock.advance(CLOSE_DEADLINE_MS)
  await eventually(() => heard.closed.length > 0)
  expect(heard.closed.map(({ code }) => code)).toEqual(['SHUTTING_DOWN'])
  for (const socket of frozen) socket.terminate()
  server.close()
})

it('closes on a frame beyond the limit', async () => {
  const server = createServer()
  const wss = new WebSocketServer({ noServer: true, maxPayload: 1000 })
  const closed = Promise.withResolvers<string>()
  server.on('upgrade', (request, socket, head) => {
    wss.handleUpgrade(request, socket, head, (accepted) => {
      const link = new WsLink(accepted, systemClock, decodeAgentMessage)
      link.start({ onMessage: () => {}, onClose: ({ code }) => closed.resolve(code) })
    })
  })
  const link = await dialWsLink({ url: `ws://127.0.0.1:${await listen(server)}/`, tls: NO_TLS, clock: systemClock })
  const heard = record(link)
  link.send({ ...ACK, nonce: 'x'.repeat(2000) } as AgentMessage)
  expect(await closed.promise).toBe('MALFORMED_MESSAGE')
  await eventually(() => heard.closed.length > 0)
  expect(heard.closed.map(({ code }) => code)).toEqual(['MALFORMED_MESSAGE'])
  server.close()
})

it('tells that the connection broke', async () => {
  await using pair = await open()
  const heard = record(pair.controlPlane)
  await pair[Symbol.asyncDispose]()
  await eventually(() => heard.closed.length > 0)
  expect(heard.closed.map(({ code }) => code)).toEqual(['LINK_CLOSED'])
})
