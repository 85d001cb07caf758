import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import { systemClock, VirtualClock } from '@ambient-lab/std'
import { afterEach, expect, test, vi } from 'vitest'
import { connectSocks5 } from './socks5.ts'

let server: Server
const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  server.close()
})

const GRANTED = [5, 0, 5, 0, 0, 1, 127, 0, 0, 1, 0, 80]

/** A proxy that answers each connection in its own way. */
async function proxy(serve: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

const target = { host: 'reviews', port: 9080 }

test('asks by name, in one segment, and hands over a socket that lost no byte', async () => {
  const asked: Buffer[] = []
  const address = await proxy((socket) => {
    socket.once('data', (bytes: Buffer) => {
      asked.push(bytes)
      socket.write(Buffer.concat([Buffer.from(GRANTED), Buffer.from('early')]))
    })
  })
  const socket = await connectSocks5(address, target, { clock: systemClock })
  sockets.push(socket)
  const received = vi.fn()
  socket.on('data', (chunk: Buffer) => received(chunk.toString()))
  await vi.waitFor(() => expect(received).toHaveBeenCalledWith('early'))
  expect(asked[0]).toEqual(Buffer.from([5, 1, 0, 5, 1, 0, 3, 7, ...Buffer.from('reviews'), 0x23, 0x78]))
})

test('an answer may come byte by byte, and name its address as it likes', async () => {
  const answer = [5, 0, 5, 0, 0, 3, 4, ...Buffer.from('name'), 0, 80, ...Buffer.from('x')]
  const address = await proxy(async (socket) => {
    socket.setNoDelay(true)
    for (const byte of answer) await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve))
  })
  const socket = await connectSocks5(address, target, { clock: systemClock })
  sockets.push(socket)
  const received = vi.fn()
  socket.on('data', (chunk: Buffer) => received(chunk.toString()))
  await vi.waitFor(() => expect(received).toHaveBeenCalledWith('x'))
})

test.each([
  [[5, 0, 5, 2], 'DENIED'],
  [[5, 0, 5, 4], 'HOST_UNREACHABLE'],
  [[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], 'CONNECTION_REFUSED'],
  [[5, 0, 5, 99], 'UPSTREAM_RESET'],
  [[5, 255], 'SOCKS_PROTOCOL'],
  [[...Buffer.from('HTTP/1.1 400')], 'SOCKS_PROTOCOL'],
  [[5, 0, 5, 0, 0, 9, 0, 0], 'SOCKS_PROTOCOL'],
])('%j is %s', async (answer, code) => {
  const address = await proxy((socket) => socket.end(Buffer.from(answer)))
  await expect(connectSocks5(address, target, { clock: systemClock })).rejects.toMatchObject({ code })
})

test('hanging up, or not being there, is an answer too', async () => {
  const address = await proxy((socket) => socket.resume().end())
  await expect(connectSocks5(address, target, { clock: systemClock })).rejects.toMatchObject({ code: 'UPSTREAM_RESET' })
  await new Promise((resolve) => server.close(resolve))
  await expect(connectSocks5(address, target, { clock: systemClock })).rejects.toMatchObject({
    code: 'CAPTURE_UNREACHABLE',
  })
})

test('silence ends with the time-out, and the connection with it', async () => {
  const clock = new VirtualClock()
  const closed = vi.fn()
  const opened = vi.fn()
  const address = await proxy((socket) => {
    opened()
    socket.resume().on('close', closed)
  })
  const connecting = connectSocks5(address, target, { clock, timeoutMs: 1000 }).catch((error) => error)
  await vi.waitFor(() => expect(opened).toHaveBeenCalled())
  await clock.advance(1000)
  expect(await connecting).toMatchObject({ code: 'CONNECT_TIMEOUT' })
  await vi.waitFor(() => expect(closed).toHaveBeenCalled())
})
