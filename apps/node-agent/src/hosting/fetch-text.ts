import { CodedError } from '@ambient-lab/std'

/** A key set or a discovery document is a few KiB. */
const TEXT_BYTES_MAX = 1024 * 1024

/** A text at an address outside of the mesh. @throws CodedError FETCH_REFUSED unless it is 200 and short; what fetch throws */
export async function fetchText(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { signal, redirect: 'follow' })
  if (response.status !== 200) throw new CodedError('FETCH_REFUSED', `${url}: status ${response.status}`)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > TEXT_BYTES_MAX) throw new CodedError('FETCH_REFUSED', `${url}: more than ${TEXT_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
