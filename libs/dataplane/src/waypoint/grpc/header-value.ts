import type { ProtoMessage } from './protobuf.ts'

const NOTHING = new Uint8Array(0)

/** `envoy.config.core.v3.HeaderValue`: the name in lower case, the value as the byte string that a field's is. */
export function headerValueOf(header: ProtoMessage | undefined): readonly [name: string, value: string] {
  const bytes = header?.bytes(2) ?? header?.bytes(3) ?? NOTHING
  return [header?.string(1).toLowerCase() ?? '', Buffer.from(bytes).toString('latin1')]
}

/** The byte string of a field as the text that it is in UTF-8: what a string of protobuf has to be. */
export function textOfValue(value: string): string {
  return /[\x80-\xff]/.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value
}
