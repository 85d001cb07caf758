/** What a filter reads of a row: its columns by key, and all its text. */
export interface Filterable {
  readonly text: string
  value(column: string): string | number | undefined
}

export interface Filter {
  matches(row: Filterable): boolean
  /** What is wrong with the text, and where; a wrong filter matches everything. */
  readonly error?: { readonly at: number; readonly message: string }
}

const EVERYTHING: Filter = { matches: () => true }

/**
 * `text` is a regular expression without case, `!text` its opposite, and `=expression` compares columns:
 * `=conn>10 && node=="n1" || status~"FAIL"`. `&&` binds tighter.
 */
export function parseFilter(text: string): Filter {
  if (text === '') return EVERYTHING
  if (text.startsWith('=')) return parseExpression(text)
  if (text.startsWith('!')) return negate(parsePattern(text.slice(1), 1))
  return parsePattern(text, 0)
}

function negate(filter: Filter): Filter {
  return filter.error ? filter : { matches: (row) => !filter.matches(row) }
}

function parsePattern(source: string, at: number): Filter {
  if (source === '') return EVERYTHING
  try {
    const pattern = new RegExp(source, 'i')
    return { matches: ({ text }) => pattern.test(text) }
  } catch {
    return wrong(at + firstOddity(source), 'not a regular expression')
  }
}

/** Engines do not tell where a pattern breaks; an unclosed bracket or a lone quantifier is nearly always it. */
function firstOddity(source: string): number {
  const index = source.search(/[([{*+?\\]/)
  return Math.max(index, 0)
}

const COMPARISON = /^\s*([a-zA-Z_%/]\w*[%/\w]*)\s*(==|!=|>=|<=|>|<|~)\s*("([^"]*)"|[^\s&|]+)\s*/

function parseExpression(text: string): Filter {
  let at = 1
  const anyOf: ((row: Filterable) => boolean)[][] = [[]]
  for (;;) {
    const match = COMPARISON.exec(text.slice(at))
    if (!match) return wrong(at, 'expected column, operator (== != < <= > >= ~), value')
    anyOf.at(-1)!.push(comparison(match[1]!, match[2]!, match[4] ?? match[3]!))
    at += match[0].length
    if (at >= text.length) break
    const joint = text.slice(at, at + 2)
    if (joint !== '&&' && joint !== '||') return wrong(at, 'expected && or ||')
    if (joint === '||') anyOf.push([])
    at += 2
  }
  return { matches: (row) => anyOf.some((allOf) => allOf.every((holds) => holds(row))) }
}

function comparison(column: string, operator: string, wanted: string): (row: Filterable) => boolean {
  return (row) => {
    const actual = row.value(column.toLowerCase())
    if (actual === undefined) return operator === '!='
    if (operator === '~') return String(actual).toLowerCase().includes(wanted.toLowerCase())
    const [left, right] =
      typeof actual === 'number' && wanted.trim() !== '' && Number.isFinite(Number(wanted))
        ? [actual, Number(wanted)]
        : [String(actual), wanted]
    switch (operator) {
      case '==':
        return left === right
      case '!=':
        return left !== right
      case '>':
        return left > right
      case '>=':
        return left >= right
      case '<':
        return left < right
      default:
        return left <= right
    }
  }
}

function wrong(at: number, message: string): Filter {
  return { ...EVERYTHING, error: { at, message } }
}
