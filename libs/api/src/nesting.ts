import { NESTING_MAX } from './limits.ts'

/**
 * How deep collections are nested at most, known before parsing: the composer recurses, so a hostile text has to be
 * refused first. The cheap count takes brackets inside strings for collections; only when it is too high does the
 * lexer look again.
 */
export function isNestedTooDeep(text: string, lex: (text: string) => Iterable<string>): boolean {
  const block = blockNesting(text)
  if (block > NESTING_MAX) return true
  if (block + deepestBracket(text) <= NESTING_MAX) return false
  return block + deepestBracket(lex(text)) > NESTING_MAX
}

/** Tokens are characters of the text, or the lexer's: a bracket alone is one that opens or closes a collection. */
function deepestBracket(tokens: Iterable<string>): number {
  let open = 0
  let deepest = 0
  for (const token of tokens) {
    if (token === '[' || token === '{') deepest = Math.max(deepest, ++open)
    else if (token === ']' || token === '}') open = Math.max(0, open - 1)
  }
  return deepest
}

/** By the indentation of lines and the dashes in front of them; text inside block scalars counts too. */
function blockNesting(text: string): number {
  const indents: number[] = []
  let deepest = 0
  for (const [, spaces = '', dashes = '', rest] of text.matchAll(/^( *)((?:[-?] +)*)([^\n]?)/gm)) {
    if (dashes === '' && rest === '') continue
    while (indents.length > 0 && indents.at(-1)! >= spaces.length) indents.pop()
    indents.push(spaces.length)
    deepest = Math.max(deepest, indents.length + dashes.replaceAll(' ', '').length)
  }
  return deepest
}
