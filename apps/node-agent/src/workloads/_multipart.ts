/**
 * The parts of a form by their name: a part of JSON as what it says, any other as text.
 * @param type the content type, with its boundary; without one there is nothing to read
 * @throws Error for a form that does not end, or a part that is no JSON and says so
 */
export function multipartValues(body: Buffer, type: string): Record<string, unknown[]> | undefined {
  const boundary = parameter(type, 'boundary')
  if (!boundary) return undefined
  // A byte is a character: boundaries are found in any content.
  const [, ...parts] = `\r\n${body.toString('latin1')}`.split(`\r\n--${boundary}`)
  if (!parts.some((part) => part.startsWith('--'))) throw new Error('multipart: the form does not end')
  const values = new Map<string, unknown[]>()
  for (const part of parts) {
    if (part.startsWith('--')) break
    const [head = '', content = ''] = part.split(/\r\n\r\n(.*)/s)
    const headers = headersOf(head)
    const name = parameter(headers.get('content-disposition') ?? '', 'name')
    if (!name) continue
    const text = Buffer.from(content, 'latin1').toString('utf8')
    const value: unknown = headers.get('content-type')?.includes('application/json') ? JSON.parse(text) : text
    values.set(name, [...(values.get(name) ?? []), value])
  }
  return Object.fromEntries(values)
}

function headersOf(head: string): ReadonlyMap<string, string> {
  const lines = head.split('\r\n').flatMap((line) => {
    const colon = line.indexOf(':')
    return colon < 0 ? [] : [[line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const]
  })
  return new Map(lines)
}

/** `; name="value"` or `; name=value` */
function parameter(header: string, name: string): string | undefined {
  for (const [, key, quoted, plain] of header.matchAll(/;\s*([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/g)) {
    if (key!.toLowerCase() === name) return quoted?.replaceAll(/\\(.)/g, '$1') ?? plain
  }
  return undefined
}
