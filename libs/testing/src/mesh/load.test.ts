import { createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { connectionLoad } from './echo-connection.ts'
import { Load, type LoadTarget } from './load.ts'
import { requestLoad } from './request-load.ts'

const GREETING_AND_REQUEST_BYTES = 3 + 4 + 1 + 'echo'.length + 2
const closers: (() => void)[] = []

afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A capture that lets everybody in (or gives `reply`), and then has `serve` talk to them. */
async function capture(serve: (socket: Socket, connection: number) => void, reply = 0): Promise<LoadTarget> {
  let connections = 0
  const server = createServer((socket) => {
    socket.on('error', () => {})
    let greeted = 0
    const onData = (chunk: Buffer) => {
      greeted += chunk.length
      if (greeted < GREETING_AND_REQUEST_BYTES) return
      socket.off('data', onData)
      socket.write(Buffer.from([5, 0, 5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
      serve(socket, ++connections)
    }
    socket.on('data', onData)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  const { port } = server.address() as { port: number }
  return { capture: { host: '127.0.0.1', port }, host: 'echo', port: 80 }
}

/** Answers each request with what stands here, the last again and again; `undefined` hangs up instead. */
function answers(...texts: readonly (string | undefined)[]): (socket: Socket) => void {
  let asked = 0
  return (socket) => {
    socket.on('data', () => {
      const text = texts[Math.min(asked, texts.length - 1)]
      asked += 1
      if (text === undefined) socket.destroy()
      else socket.write(text)
    })
  }
}

function inTwoParts(socket: Socket): void {
  socket.on('data', () => {
    socket.write(OK.slice(0, 30))
    setImmediate(() => socket.write(OK.slice(30)))
  })
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

test('every attempt is counted once, whatever becomes of it', async () => {
  const load = new Load({ programs: 3, attempts: 10 }, (one) =>
    one.attempt(async (number) => {
      if (number % 5 === 0) throw new Error(`no ${number}`)
    }),
  )
  await load.ended
  expect(load.completed).toBe(8)
  expect(load.failed.map(({ number, error }) => `${number}: ${error}`)).toEqual(['5: no 5', '10: no 10'])
})

test.each<[string, (socket: Socket) => void, number, string[]]>([
  ['answers', answers(OK), 4, []],
  ['answers in two parts', inTwoParts, 4, []],
  ['a server that says that it closes', answers(OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')), 4, []],
  ['a refusal', answers('HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\nUH', OK), 3, ['503 UH']],
  ['an end instead of an answer', answers(OK, undefined, OK), 3, ['closed after 0 bytes of an answer']],
  ['no length', answers('HTTP/1.1 200 OK\r\n\r\n', OK), 3, ['an answer without a length: HTTP/1.1 200 OK']],
])('requests: %s', async (_, serve, completed, errors) => {
  const load = requestLoad(await capture(serve), { programs: 1, attempts: 4, requestsPerConnection: 3 })
  await load.ended
  expect(load.failed.map(({ error }) => error)).toEqual(errors)
  expect(load.completed).toBe(completed)
})

test.each<[string, number, (socket: Socket) => void, string]>([
  ['a refusal', 2, () => {}, 'SOCKS5: not allowed'],
  ['half a line', 0, (socket) => socket.on('data', () => socket.end('lin')), 'closed after "lin" of line 1'],
])('connections: %s', async (_, reply, serve, error) => {
  const load = connectionLoad(await capture(serve, reply), 1)
  await expect.poll(() => load.failed.length).toBeGreaterThan(0)
  await load.stop()
  expect(load.failed[0]!.error).toBe(error)
})
