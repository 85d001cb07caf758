/**
 * The text behind percent escapes, bytes that are no UTF-8 replaced; a plus stays one.
 * @throws Error for a broken escape, as Go has it
 */
export function percentDecoded(text: string): string {
  const broken = /%(?![0-9a-fA-F]{2}).{0,2}/su.exec(text)
  if (broken) throw new Error(`invalid URL escape ${JSON.stringify(broken[0])}`)
  return text.replaceAll(/(?:%[0-9a-fA-F]{2})+/g, (escapes) =>
    Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'),
  )
}

/** Values by name of `a=1&b=2`. @throws Error for a broken escape, or a semicolon, as Go has it */
export function formValues(text: string): Record<string, string[]> {
  const values = new Map<string, string[]>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    if (pair.includes(';')) throw new Error('invalid semicolon separator in query')
    const [name = '', value = ''] = pair.split(/=(.*)/s).map((part) => percentDecoded(part.replaceAll('+', ' ')))
    values.set(name, [...(values.get(name) ?? []), value])
  }
  return Object.fromEntries(values)
}
