import { createHash, randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { tunnelError } from './errors.ts'
import { UPGRADE_HEAD_BYTES_MAX } from './limits.ts'

export const SUBPROTOCOL = 'hbone.v1'
/** The node that dials, so that the accepting end knows which link its answers take. */
const NODE_FIELD = 'ambient-node'
const PATH = '/hbone'
/** @see RFC 6455 §1.3 */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*$/

interface Head {
  readonly startLine: string
  readonly fields: ReadonlyMap<string, string>
}

/**
 * The dialling end's half of the WebSocket opening handshake (RFC 6455 §4.1).
 * @throws CodedError UPGRADE_REFUSED
 */
export async function requestUpgrade(
  socket: Duplex,
  init: { readonly host: string; readonly node: string },
): Promise<void> {
  const key = randomBytes(16).toString('base64')
  const lines = [
    `GET ${PATH} HTTP/1.1`,
    `Host: ${init.host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
    `${NODE_FIELD}: ${init.node}`,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  const { startLine, fields } = await readHead(socket)
  if (!startLine.startsWith('HTTP/1.1 101 ')) throw refused(`the peer answered ${startLine}`)
  if (!isUpgrade(fields)) throw refused('the answer is no upgrade to WebSocket')
  if (fields.get('sec-websocket-accept') !== acceptValue(key)) throw refused('the answer is to another request')
  if (fields.get('sec-websocket-protocol') !== SUBPROTOCOL) throw refused('the peer does not speak hbone.v1')
  if (fields.has('sec-websocket-extensions')) throw refused('the peer insists on extensions')
}

/**
 * The accepting end's half (RFC 6455 §4.2). What it refuses it has answered.
 * @returns the node that dialled, empty when it does not say
 * @throws CodedError UPGRADE_REFUSED
 */
export async function acceptUpgrade(socket: Duplex): Promise<{ readonly node: string }> {
  const { startLine, fields } = await readHead(socket)
  const key = fields.get('sec-websocket-key') ?? ''
  const protocols = (fields.get('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim())
  if (startLine !== `GET ${PATH} HTTP/1.1`) throw refuse(socket, '404 Not Found', 'not a request for a tunnel')
  if (!isUpgrade(fields) || !/^[A-Za-z0-9+/]{22}==$/.test(key))
    throw refuse(socket, '400 Bad Request', 'no WebSocket handshake')
  if (fields.get('sec-websocket-version') !== '13')
    throw refuse(socket, '426 Upgrade Required', 'WebSocket version is not 13')
  if (!protocols.includes(SUBPROTOCOL)) throw refuse(socket, '400 Bad Request', 'subprotocol hbone.v1 was not offered')
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    'Upgrade: websocket',
    `Sec-WebSocket-Accept: ${acceptValue(key)}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  return { node: fields.get(NODE_FIELD) ?? '' }
}

/** Tells a peer, in its own handshake, why it is not wanted; `reason` must be a line of ASCII. */
export function refuseUpgrade(socket: Duplex, reason: string): void {
  socket.end(`HTTP/1.1 403 ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function refuse(socket: Duplex, status: string, reason: string): Error {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n`)
  return refused(reason)
}

function isUpgrade(fields: ReadonlyMap<string, string>): boolean {
  const connection = (fields.get('connection') ?? '').toLowerCase().split(/\s*,\s*/)
  return connection.includes('upgrade') && fields.get('upgrade')?.toLowerCase() === 'websocket'
}

/** Reads up to the empty line and leaves the socket paused, with whatever came behind it still to be read. */
function readHead(socket: Duplex): Promise<Head> {
  const { promise, resolve, reject } = Promise.withResolvers<Head>()
  let received: Uint8Array = new Uint8Array(0)
  const onData = (chunk: Uint8Array) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const text = Buffer.from(received.buffer, received.byteOffset, received.length).toString(
      'latin1',
      0,
      UPGRADE_HEAD_BYTES_MAX,
    )
    const end = text.indexOf('\r\n\r\n')
    if (end < 0 && received.length < UPGRADE_HEAD_BYTES_MAX) return
    release()
    if (end + 4 < received.length) socket.unshift(received.subarray(end + 4))
    try {
      if (end < 0) throw refused('the head of the handshake is too long')
      resolve(parseHead(text.slice(0, end)))
    } catch (error) {
      reject(error)
    }
  }
  const onGone = () => {
    release()
    reject(refused('the peer hung up during the handshake'))
  }
  const release = () => {
    socket.pause()
    socket.removeListener('data', onData)
    for (const event of ['end', 'close', 'error']) socket.removeListener(event, onGone)
  }
  for (const event of ['end', 'close', 'error']) socket.on(event, onGone)
  socket.on('data', onData)
  return promise
}

/** @throws CodedError UPGRADE_REFUSED for anything but one line and well-formed fields, none of them twice */
function parseHead(text: string): Head {
  const [startLine = '', ...lines] = text.split('\r\n')
  const fields = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? []
    if (name === undefined || fields.has(name.toLowerCase())) throw refused('the head of the handshake is malformed')
    fields.set(name.toLowerCase(), value!)
  }
  return { startLine, fields }
}

function acceptValue(key: string): string {
  return createHash('sha1')
    .update(key + WEBSOCKET_GUID)
    .digest('base64')
}

function refused(message: string): Error {
  return tunnelError('UPGRADE_REFUSED', message, { origin: 'upstream' })
}
