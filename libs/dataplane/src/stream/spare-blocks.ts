import { BLOCK_BYTES, SPARE_BLOCKS_MAX } from './limits.ts'

const spare: Uint8Array[] = []

/**
 * A block of BLOCK_BYTES for bytes that are being gathered; what is in it is rubbish. The same few go round, whoever
 * writes: they stay in the processor's cache, and neither the allocator nor the garbage collector hears of the bytes.
 */
export function acquireBlock(): Uint8Array {
  return spare.pop() ?? new Uint8Array(BLOCK_BYTES)
}

/** Nobody may look at the block any more. One that is not given back is merely collected. */
export function releaseBlock(block: Uint8Array): void {
  if (spare.length < SPARE_BLOCKS_MAX) spare.push(block)
}
