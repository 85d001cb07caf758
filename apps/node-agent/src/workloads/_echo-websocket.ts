import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { MiB } from '@ambient-lab/std'
import type { AppRequest } from '../hosting/workload.ts'

const PATH = '/ws'
/** RFC 6455 §1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const PAYLOAD_BYTES_MAX = MiB

const OPCODE = { close: 8, ping: 9, pong: 10 } as const

interface Frame {
  /** The first byte: FIN, reserved bits, opcode. */
  readonly head: number
  readonly payload: Buffer
  readonly length: number
}

/** Sends each frame back as it came, answers pings, and closes when the client does. @see RFC 6455 §5.2 */
export function echoWebSocket({ path, headers }: AppRequest, socket: Duplex, head: Buffer): void {
  socket.on('error', () => {}) // the peer went away
  const key = headers['sec-websocket-key']
  if (path !== PATH || key === undefined || headers.upgrade?.toLowerCase() !== 'websocket') {
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    return
  }
  const accept = createHash('sha1').update(`${key}${ACCEPT_GUID}`).digest('base64')
  const lines = ['HTTP/1.1 101 Switching Protocols', 'upgrade: websocket', 'connection: Upgrade']
  socket.write([...lines, `sec-websocket-accept: ${accept}`, '', ''].join('\r\n'))
  let rest = head
  const read = () => {
    for (let frame = readFrame(rest); frame; frame = readFrame(rest)) {
      if (frame === 'wrong') return socket.end()
      rest = rest.subarray(frame.length)
      const opcode = frame.head & 0x0f
      if (opcode === OPCODE.pong) continue
      socket.write(encodeFrame(opcode === OPCODE.ping ? (frame.head & 0xf0) | OPCODE.pong : frame.head, frame.payload))
      if (opcode === OPCODE.close) return socket.end()
    }
  }
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    read()
  })
  socket.on('end', () => socket.end())
  read()
}

/** @returns undefined while it is not complete; wrong: not masked, as a client has to, or longer than is taken */
function readFrame(bytes: Buffer): Frame | 'wrong' | undefined {
  if (bytes.length < 2) return undefined
  const [head, second] = [bytes[0]!, bytes[1]!]
  if (second < 0x80) return 'wrong'
  const short = second & 0x7f
  const maskAt = short === 127 ? 10 : short === 126 ? 4 : 2
  const payloadAt = maskAt + 4
  if (bytes.length < maskAt) return undefined
  const size = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short
  if (size > PAYLOAD_BYTES_MAX) return 'wrong'
  const length = payloadAt + size
  if (bytes.length < length) return undefined
  const payload = Buffer.from(bytes.subarray(payloadAt, length))
  for (let index = 0; index < size; index += 1) payload[index]! ^= bytes[maskAt + (index & 3)]!
  return { head, payload, length }
}

function encodeFrame(head: number, payload: Buffer): Buffer {
  const size = payload.length
  const prefix = Buffer.alloc(size > 0xffff ? 10 : size > 125 ? 4 : 2)
  prefix[0] = head
  prefix[1] = size > 0xffff ? 127 : size > 125 ? 126 : size
  if (prefix.length === 10) prefix.writeBigUInt64BE(BigInt(size), 2)
  if (prefix.length === 4) prefix.writeUInt16BE(size, 2)
  return Buffer.concat([prefix, payload])
}
