import { CodedError } from '@ambient-lab/std'

const BLOCK_BYTES = 512
const REGULAR_FILES = ['0', '\0']

/**
 * The regular files of a tar archive by their path, which begins with `/`. POSIX ustar, as Go writes it; longer names (pax
 * records) are not read.
 * @throws CodedError ARCHIVE_MALFORMED
 */
export function tarFiles(archive: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength)
  const files = new Map<string, Uint8Array>()
  for (let at = 0; at + BLOCK_BYTES <= bytes.length && bytes[at] !== 0; ) {
    const header = bytes.subarray(at, at + BLOCK_BYTES)
    checkSum(header)
    const size = octal(header.subarray(124, 136))
    const start = at + BLOCK_BYTES
    if (start + size > bytes.length) throw malformed('it ends within a file')
    if (REGULAR_FILES.includes(header.toString('latin1', 156, 157))) {
      files.set(pathOf(header), bytes.subarray(start, start + size))
    }
    at = start + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES
  }
  return files
}

function pathOf(header: Buffer): string {
  const isUstar = header.toString('latin1', 257, 262) === 'ustar'
  const prefix = isUstar ? textOf(header.subarray(345, 500)) : ''
  const name = textOf(header.subarray(0, 100))
  return `/${[prefix, name]
    .filter(Boolean)
    .join('/')
    .replace(/^\.?\/+/, '')}`
}

/** The sum of the header's bytes, with the field of the sum itself as blanks. */
function checkSum(header: Buffer): void {
  let sum = 8 * 32
  for (const [index, byte] of header.entries()) if (index < 148 || index >= 156) sum += byte
  if (sum !== octal(header.subarray(148, 156))) throw malformed('a header has not the sum that it claims')
}

function textOf(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? field.length : end)
}

function octal(field: Buffer): number {
  const text = textOf(field).trim()
  if (!/^[0-7]+$/.test(text)) throw malformed(`${JSON.stringify(text)} is no octal number`)
  return Number.parseInt(text, 8)
}

function malformed(problem: string): CodedError {
  return new CodedError('ARCHIVE_MALFORMED', `not a tar archive: ${problem}`)
}
