/**
 * Bits of each symbol's code, RFC 7541 Appendix B; the last is EOS. The code is canonical: codes of one length follow
 * each other in the order of their symbols, so that the lengths say everything.
 */
const CODE_BITS = [
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28],
  ...[28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28],
  ...[6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6],
  ...[5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10],
  ...[13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
  ...[7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  ...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5],
  ...[6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28],
  ...[20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23],
  ...[24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24],
  ...[22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23],
  ...[21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23],
  ...[26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25],
  ...[19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27],
  ...[20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23],
  ...[26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26],
  30,
]
const EOS = 256

/** A code as a number, and its bits. */
export interface HuffmanCode {
  readonly code: number
  readonly bits: number
}

/** By symbol. */
export function huffmanCodes(): readonly HuffmanCode[] {
  return canonicalCodes(CODE_BITS)
}

function canonicalCodes(lengths: readonly number[]): HuffmanCode[] {
  const codes: HuffmanCode[] = new Array(lengths.length)
  let next = 0
  for (let bits = 1; bits <= 30; bits += 1) {
    next *= 2
    for (let symbol = 0; symbol < lengths.length; symbol += 1) {
      if (lengths[symbol] !== bits) continue
      codes[symbol] = { code: next, bits }
      next += 1
    }
  }
  return codes
}

/** In a step: a symbol was completed, it stands in the lowest byte. */
const EMITS = 0x100
/** No code goes on like this: it would be EOS. */
const FAILS = 0x200
const NODE_SHIFT = 10

interface DecodingTables {
  /** By inner node of the code's tree and four bits: the node they lead to, and the symbol on the way; none is shorter. */
  readonly steps: Uint32Array
  /** Nodes where a text may end: at the root, or up to seven bits of EOS behind it (RFC 7541 §5.2). */
  readonly mayEnd: Uint8Array
}

/**
 * Made for the first text: building them is so much work that V8 brings its optimising compilers into memory, 5 MB that
 * an agent without HTTP/2 does not need.
 */
let tables: DecodingTables | undefined

function buildTables(): DecodingTables {
  const codes = huffmanCodes()
  const steps = new Uint32Array(256 * 16)
  const mayEnd = new Uint8Array(256)
  /** Children of inner nodes: a node, or a symbol as its complement. */
  const children: [number, number][] = [[0, 0]]
  for (let symbol = 0; symbol <= EOS; symbol += 1) {
    const { code, bits } = codes[symbol]!
    let node = 0
    for (let bit = bits - 1; bit > 0; bit -= 1) {
      const side = (code >>> bit) & 1
      if (children[node]![side] === 0) children[node]![side] = children.push([0, 0]) - 1
      node = children[node]![side]!
    }
    children[node]![code & 1] = ~symbol
  }
  for (let node = 0; node < children.length; node += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1) steps[(node << 4) | nibble] = stepOf(children, node, nibble)
  }
  for (let node = 0, depth = 0; depth < 8; depth += 1) {
    mayEnd[node] = 1
    node = children[node]![1]!
  }
  return { steps, mayEnd }
}

function stepOf(children: readonly (readonly [number, number])[], from: number, nibble: number): number {
  let node = from
  let emitted = 0
  for (let bit = 3; bit >= 0; bit -= 1) {
    const next = children[node]![(nibble >>> bit) & 1]!
    if (next === ~EOS) return FAILS
    if (next < 0) emitted = EMITS | ~next
    node = Math.max(next, 0)
  }
  return (node << NODE_SHIFT) | emitted
}

/**
 * Decodes the text in [from, end).
 * @param into has room for 8/5 of its length
 * @returns how many bytes it has, or -1 when it is none: EOS within it, or padding that is not the beginning of EOS
 */
export function decodeHuffman(bytes: Uint8Array, from: number, end: number, into: Uint8Array): number {
  tables ??= buildTables()
  const { steps, mayEnd } = tables
  let node = 0
  let length = 0
  for (let at = from; at < end; at += 1) {
    const byte = bytes[at]!
    const high = steps[(node << 4) | (byte >>> 4)]!
    if ((high & EMITS) !== 0) {
      into[length] = high
      length += 1
    }
    const low = steps[((high >>> NODE_SHIFT) << 4) | (byte & 15)]!
    if (((high | low) & FAILS) !== 0) return -1
    if ((low & EMITS) !== 0) {
      into[length] = low
      length += 1
    }
    node = low >>> NODE_SHIFT
  }
  return mayEnd[node] === 1 ? length : -1
}
