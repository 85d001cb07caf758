/** SNI of a TLS client hello that has wholly come. @returns undefined for what is none, or names no server */
export function serverNameOfHello(bytes: Uint8Array): string | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  // Record: type, version, length. Handshake: type 1, length. Hello: version, random, three lists, extensions.
  if (view.length < 43 || view[0] !== 0x16 || view[5] !== 1) return undefined
  let at = 43
  const skip = (sizeBytes: 1 | 2): boolean => {
    if (at + sizeBytes > view.length) return false
    at += sizeBytes + view.readUIntBE(at, sizeBytes)
    return at <= view.length
  }
  if (!skip(1) || !skip(2) || !skip(1) || at + 2 > view.length) return undefined
  const end = Math.min(view.length, at + 2 + view.readUInt16BE(at))
  at += 2
  while (at + 4 <= end) {
    const type = view.readUInt16BE(at)
    const length = view.readUInt16BE(at + 2)
    at += 4
    if (at + length > end) return undefined
    if (type === 0) return firstHostName(view.subarray(at, at + length))
    at += length
  }
  return undefined
}

/** RFC 6066 §3: a list of names, each with its type; 0 is a host name. */
function firstHostName(list: Buffer): string | undefined {
  if (list.length < 5 || list[2] !== 0) return undefined
  const length = list.readUInt16BE(3)
  return 5 + length <= list.length ? list.toString('latin1', 5, 5 + length).toLowerCase() : undefined
}

/** Whether the first record has wholly come, so that nothing more of it will. */
export function isHelloComplete(bytes: Uint8Array): boolean {
  return bytes.length >= 5 && bytes.length >= 5 + ((bytes[3]! << 8) | bytes[4]!)
}
