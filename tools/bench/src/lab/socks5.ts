import { connect, type Socket } from 'node:net'

const GREETING = [5, 1, 0]
/** Of the answers to the greeting and to a request. */
const ANSWERS_BYTES = 12

/**
 * Enters the mesh as a program of a pod does; greeting and request leave together, and nothing of what the other end
 * says is read.
 * @param host a name or an IPv4 address
 * @returns undefined when the mesh said no
 */
export function socks5Connect(
  capture: { readonly host: string; readonly port: number },
  host: string,
  port: number,
): Promise<Socket | undefined> {
  const socket = connect({ ...capture, noDelay: true })
  socket.on('error', () => {}) // 'close' follows
  const isAddress = /^[\d.]+$/.test(host)
  const address = isAddress ? [1, ...host.split('.').map(Number)] : [3, host.length, ...Buffer.from(host, 'latin1')]
  socket.write(Buffer.from([...GREETING, 5, 1, 0, ...address, port >> 8, port & 0xff]))
  return new Promise((resolve) => {
    let received = Buffer.alloc(0)
    const settle = (isOpen: boolean) => {
      socket.off('data', onData)
      socket.off('close', onClose)
      if (!isOpen) socket.destroy()
      resolve(isOpen ? socket : undefined)
    }
    const onClose = () => settle(false)
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length >= 4 && received[3] !== 0) settle(false)
      else if (received.length >= ANSWERS_BYTES) settle(true)
    }
    socket.on('data', onData)
    socket.once('close', onClose)
  })
}
