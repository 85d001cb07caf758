import { nearest } from '../cli/nearest.ts'
import { didYouMean, usageError } from '../cli/usage-error.ts'
import { evaluatePath, parseTemplate, type Template } from './json-path.ts'

export type Format =
  | { readonly type: 'table'; readonly wide: boolean }
  | { readonly type: 'json' | 'yaml' | 'jsonl' | 'name' }
  | { readonly type: 'jsonpath'; readonly template: Template }
  | { readonly type: 'custom-columns'; readonly columns: readonly CustomColumn[] }

export interface CustomColumn {
  readonly title: string
  readonly path: string
}

const WORDS = ['table', 'wide', 'json', 'yaml', 'jsonl', 'name', 'jsonpath', 'custom-columns']

/** The value of `-o`. @throws CodedError USAGE */
export function parseFormat(text: string): Format {
  const equals = text.indexOf('=')
  const word = equals < 0 ? text : text.slice(0, equals)
  const value = equals < 0 ? '' : text.slice(equals + 1)
  if (word === 'table' || word === 'wide') return { type: 'table', wide: word === 'wide' }
  if (word === 'json' || word === 'yaml' || word === 'jsonl' || word === 'name') return { type: word }
  if (word === 'jsonpath' && value !== '') return { type: 'jsonpath', template: parseTemplate(value) }
  if (word === 'custom-columns' && value !== '') return { type: 'custom-columns', columns: parseCustomColumns(value) }
  if (word === 'jsonpath') throw usageError('-o jsonpath needs a template', "-o jsonpath='{.items[*].metadata.name}'")
  if (word === 'custom-columns')
    throw usageError('-o custom-columns needs columns', '-o custom-columns=NAME:.metadata.name')
  throw usageError(
    `there is no output format "${word}"${didYouMean(nearest(word, WORDS))}`,
    `one of: ${WORDS.join(', ')}`,
  )
}

/** `NAME:.metadata.name,IP:.status.podIP` */
export function parseCustomColumns(text: string): CustomColumn[] {
  return text.split(/,(?![^[]*\])/).map((column) => {
    const colon = column.indexOf(':')
    const title = column.slice(0, colon)
    const path = column.slice(colon + 1)
    if (colon < 1 || path === '') throw usageError(`custom column "${column}" has no path`, 'NAME:.metadata.name')
    evaluatePath(path, {}) // a path that does not parse is refused before anything is fetched
    return { title, path }
  })
}
