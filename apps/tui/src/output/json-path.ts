import { usageError } from '../cli/usage-error.ts'

/**
 * kubectl's JSONPath templates: text with `{…}` in it, where a path, `{"literal"}`, or `{range …}…{end}` stands. Paths
 * have fields, `['fields']`, `[0]`, `[-1]`, `[1:3]`, `[*]`, `.*`, `..field`, and filters `[?(@.a=="b")]`.
 * @see https://kubernetes.io/docs/reference/kubectl/jsonpath/
 */
export type Template = readonly TemplateNode[]

type TemplateNode =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'path'; readonly steps: readonly Step[] }
  | { readonly type: 'range'; readonly steps: readonly Step[]; readonly body: Template }

type Step =
  | { readonly type: 'field'; readonly name: string }
  | { readonly type: 'descend'; readonly name: string }
  | { readonly type: 'slice'; readonly from: number | undefined; readonly to: number | undefined }
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'all' }
  | {
      readonly type: 'filter'
      readonly steps: readonly Step[]
      readonly operator: string
      readonly wanted: string | undefined
    }

const NESTING_MAX = 16

/** @throws CodedError USAGE naming the part that does not parse */
export function parseTemplate(text: string): Template {
  // kubectl takes a bare path too: `.items[*].metadata.name`
  const parts = splitBraces(/[{}]/.test(text) ? text : `{${text}}`)
  const { nodes, rest } = parseNodes(parts, 0)
  if (rest < parts.length) throw syntaxError('{end}', 'without a range')
  return nodes
}

/** What the template says of the document. Missing fields are empty, as with kubectl's default. */
export function renderTemplate(template: Template, document: unknown): string {
  return template
    .map((node) => {
      if (node.type === 'text') return node.text
      const values = walk([document], node.steps)
      if (node.type === 'path') return values.map(valueText).join(' ')
      return values.map((value) => renderTemplate(node.body, value)).join('')
    })
    .join('')
}

/** The values at one path: `.metadata.name`, with or without braces. */
export function evaluatePath(path: string, document: unknown): readonly unknown[] {
  return walk([document], parseSteps(path.replace(/^\{|\}$/g, '')))
}

interface Part {
  readonly braced: boolean
  readonly text: string
}

/** Braces inside quotes and filters are text. */
function splitBraces(text: string): Part[] {
  const parts: Part[] = []
  let start = 0
  let quote = ''
  let braced = false
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index]!
    if (braced && quote !== '') {
      if (character === '\\') index += 1
      else if (character === quote) quote = ''
    } else if (braced && (character === '"' || character === "'")) quote = character
    else if (character === (braced ? '}' : '{')) {
      if (braced || index > start) parts.push({ braced, text: text.slice(start, index) })
      braced = !braced
      start = index + 1
    }
  }
  if (braced) throw syntaxError(text.slice(start - 1), 'the brace is never closed')
  if (start < text.length) parts.push({ braced: false, text: text.slice(start) })
  return parts
}

function parseNodes(parts: readonly Part[], from: number, depth = 0): { nodes: TemplateNode[]; rest: number } {
  if (depth > NESTING_MAX) throw syntaxError('{range}', 'nested too deep')
  const nodes: TemplateNode[] = []
  for (let index = from; index < parts.length; index += 1) {
    const { braced, text } = parts[index]!
    const inner = text.trim()
    if (!braced) nodes.push({ type: 'text', text })
    else if (inner === 'end') return { nodes, rest: index }
    else if (/^range\s/.test(inner)) {
      const { nodes: body, rest } = parseNodes(parts, index + 1, depth + 1)
      if (rest >= parts.length) throw syntaxError(`{${inner}}`, 'the range has no {end}')
      nodes.push({ type: 'range', steps: parseSteps(inner.slice('range'.length).trim()), body })
      index = rest
    } else if (/^["']/.test(inner)) nodes.push({ type: 'text', text: unquote(inner) })
    else nodes.push({ type: 'path', steps: parseSteps(inner) })
  }
  return { nodes, rest: parts.length }
}

function parseSteps(path: string): Step[] {
  const steps: Step[] = []
  let rest = path.replace(/^[$@]/, '')
  if (rest !== '' && !/^[.[]/.test(rest)) rest = `.${rest}`
  while (rest !== '') {
    const found = nextStep(rest)
    if (!found) throw syntaxError(rest, 'want .field, [0], [*], [1:3], [?(@.field=="value")] or ..field')
    if (found.step) steps.push(found.step)
    rest = rest.slice(found.length)
  }
  return steps
}

function nextStep(rest: string): { step: Step | undefined; length: number } | undefined {
  const dotted = /^(\.\.?)((?:[^.[\]\\]|\\.)+)/.exec(rest)
  if (dotted) {
    const name = dotted[2]!.replace(/\\(.)/g, '$1')
    const step: Step =
      dotted[1] === '..' ? { type: 'descend', name } : name === '*' ? { type: 'all' } : { type: 'field', name }
    return { step, length: dotted[0].length }
  }
  const filter = /^\[\?\((.*?)\)\]/.exec(rest)
  if (filter) return { step: parseFilter(filter[1]!), length: filter[0].length }
  const bracket = /^\[\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\]]*)\s*\]/.exec(rest)
  if (bracket) return { step: parseBracket(bracket[1]!.trim()), length: bracket[0].length }
  return rest === '.' ? { step: undefined, length: 1 } : undefined
}

function parseBracket(inner: string): Step {
  if (inner === '*') return { type: 'all' }
  if (/^["']/.test(inner)) return { type: 'field', name: unquote(inner) }
  if (/^-?\d+$/.test(inner)) return { type: 'index', index: Number(inner) }
  const slice = /^(-?\d+)?:(-?\d+)?$/.exec(inner)
  if (!slice) throw syntaxError(`[${inner}]`, 'want a number, a slice, *, or a quoted field')
  const bound = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  return { type: 'slice', from: bound(slice[1]), to: bound(slice[2]) }
}

function parseFilter(text: string): Step {
  const match = /^\s*(@[^=!<>\s]*)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*$/.exec(text)
  if (!match) throw syntaxError(`[?(${text})]`, 'want @.field=="value"')
  const wanted = match[3] === undefined ? undefined : /^["']/.test(match[3]) ? unquote(match[3]) : match[3]
  return { type: 'filter', steps: parseSteps(match[1]!), operator: match[2] ?? 'exists', wanted }
}

function unquote(text: string): string {
  const inner = text.slice(1, text.length > 1 && text.endsWith(text[0]!) ? -1 : undefined)
  return inner.replace(/\\(.)/g, (_, character: string) => ({ n: '\n', t: '\t', r: '\r' })[character] ?? character)
}

function walk(values: readonly unknown[], steps: readonly Step[]): readonly unknown[] {
  return steps.reduce((current, step) => current.flatMap((value) => take(value, step)), values)
}

function take(value: unknown, step: Step): readonly unknown[] {
  if (step.type === 'field')
    return Array.isArray(value) ? value.flatMap((item) => take(item, step)) : present(field(value, step.name))
  if (step.type === 'descend') return descend(value, step.name)
  if (step.type === 'all') return children(value)
  if (!Array.isArray(value)) return []
  if (step.type === 'index') return present(value.at(step.index))
  if (step.type === 'slice') return value.slice(step.from, step.to)
  return value.filter((item) => holds(item, step))
}

function holds(item: unknown, { steps, operator, wanted }: Extract<Step, { type: 'filter' }>): boolean {
  const [actual] = walk([item], steps)
  if (operator === 'exists') return actual !== undefined
  if (actual === undefined) return operator === '!='
  if (operator === '==') return valueText(actual) === wanted
  if (operator === '!=') return valueText(actual) !== wanted
  const [left, right] = [Number(actual), Number(wanted)]
  if (operator === '<') return left < right
  if (operator === '>') return left > right
  return operator === '<=' ? left <= right : left >= right
}

function descend(value: unknown, name: string): unknown[] {
  return [
    ...present(Array.isArray(value) ? undefined : field(value, name)),
    ...children(value).flatMap((child) => descend(child, name)),
  ]
}

function children(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return typeof value === 'object' && value !== null ? Object.values(value) : []
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}

function present(value: unknown): readonly unknown[] {
  return value === undefined ? [] : [value]
}

function valueText(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function syntaxError(part: string, why: string): Error {
  return usageError(`jsonpath: at "${part}": ${why}`, "jsonpath='{.items[*].metadata.name}'")
}
