import type { Socket } from 'node:net'

/**
 * What `net.connect` does for its option `onread`: the socket's bytes arrive in `buffer`, and `callback` hears how many.
 * Nothing is allocated for a read, so that a fast stream costs no garbage collection and its bytes stay in the
 * processor's cache. Node offers the option for plain sockets that it opens itself; we need it for accepted ones and for
 * TLS as well, and find what the option sets by its name.
 *
 * Until the callback returns the bytes are its own, after that the next read may overwrite them.
 * @returns false where this Node has it no more; then the bytes come as 'data' events, as ever
 */
export function readInto(socket: Socket, buffer: Uint8Array, callback: (bytes: number) => void): boolean {
  const { _handle: handle } = socket as { _handle?: { useUserBuffer?(buffer: Uint8Array): void } | null }
  if (!handle || typeof handle.useUserBuffer !== 'function' || socket.readableLength > 0) return false
  symbols ??= findSymbols(socket)
  if (!symbols) return false
  const [bufferKey, callbackKey] = symbols
  Object.assign(socket, {
    [bufferKey]: buffer,
    [callbackKey]: (bytes: number) => {
      callback(bytes)
      return true
    },
  })
  handle.useUserBuffer(buffer)
  return true
}

/** Where net.Socket keeps the option's buffer and callback. */
let symbols: readonly [symbol, symbol] | undefined

function findSymbols(socket: Socket): readonly [symbol, symbol] | undefined {
  const own = Object.getOwnPropertySymbols(socket)
  const find = (name: string) => own.find(({ description }) => description === name)
  const [bufferKey, callbackKey, generatorKey] = [find('kBuffer'), find('kBufferCb'), find('kBufferGen')]
  return bufferKey && callbackKey && generatorKey ? [bufferKey, callbackKey] : undefined
}
