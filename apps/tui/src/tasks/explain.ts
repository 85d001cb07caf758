import {
  apiVersionOf,
  childSchemas,
  FINDING_CODES,
  findingKind,
  findKindByName,
  type Honour,
  honourOf,
  type JsonSchema,
  KINDS,
  type KindDefinition,
  namesOf,
  qualifiedName,
  requiredOf,
  schemaAt,
  typeName,
} from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import { nearest } from '../cli/nearest.ts'
import { didYouMean, usageError } from '../cli/usage-error.ts'
import { layoutColumns } from '../output/columns.ts'
import { kindNamed } from './kinds.ts'

export interface ExplainOptions {
  /** Every field below, with its type and layer alone. */
  readonly recursive: boolean
}

const CODE = /^(AM|IST)\d+$/i
const WIDTH = 100

/** Part of every object, and not of a kind's own schema. */
const HEADER: Readonly<Record<string, JsonSchema>> = {
  apiVersion: { type: 'string' },
  kind: { type: 'string' },
  metadata: { type: 'object' },
}

/**
 * The text about a type, a field of one, a finding's code, or all of them (`types`, `codes`).
 * @throws CodedError USAGE for a type or code, NOT_FOUND for a field that there is not; each with the nearest that there is
 */
export function explain(what: string, options: ExplainOptions): string {
  if (what === 'types') return typesText()
  if (what === 'codes') return codesText()
  if (CODE.test(what)) return codeText(what.toUpperCase())
  const { definition, path } = parsePath(what)
  return fieldText(definition, path, options)
}

/** `gateways.networking.istio.io.spec.servers`: as much of the front as names a type, then fields. */
function parsePath(what: string): { readonly definition: KindDefinition; readonly path: readonly string[] } {
  const words = what.split('.')
  for (let length = words.length; length > 0; length--) {
    const definition = findKindByName(words.slice(0, length).join('.'))
    if (definition) return { definition, path: words.slice(length) }
  }
  const [first = ''] = words
  if (nearest(first.toLowerCase(), KINDS.flatMap(namesOf)) === undefined) {
    throw usageError(`there is no type or code "${first}"`, 'ambient explain types')
  }
  return { definition: kindNamed(first), path: [] }
}

function fieldText(definition: KindDefinition, path: readonly string[], { recursive }: ExplainOptions): string {
  const schema = schemaOf(definition, path)
  const honour = honourOf(definition, path)
  const parent = path.length > 0 ? schemaOf(definition, path.slice(0, -1)) : undefined
  const facts = path.length > 0 ? factsOf(schema, isRequired(parent, path.at(-1)!)) : []
  return [
    layoutColumns(
      [{ title: '' }, { title: '' }],
      [
        ['KIND:', definition.kind],
        ['VERSION:', apiVersionOf(definition)],
        ...(path.length > 0 ? [['FIELD:', `${path.join('.')} <${typeName(schema)}>`]] : []),
        ...facts,
        ['HONOURED BY:', honour.layer],
      ],
      false,
    ),
    ...wrapped(`${honour.says}.`, '  '),
    ...(schema.description ? ['', 'DESCRIPTION:', ...wrapped(schema.description, '  ')] : []),
    ...fieldsText(definition, path, schema, recursive),
  ]
    .map((line) => line.replace(/\n$/, ''))
    .join('\n')
    .concat('\n')
}

function schemaOf(definition: KindDefinition, path: readonly string[]): JsonSchema {
  const whole = wholeSchema(definition)
  for (let length = 1; length <= path.length; length++) {
    if (schemaAt(whole, path.slice(0, length))) continue
    const above = path.slice(0, length - 1)
    const known = Object.keys(childSchemas(schemaAt(whole, above) ?? {}))
    const name = path[length - 1]!
    const place = [definition.kind, ...above].join('.')
    throw new CodedError('NOT_FOUND', noField(place, name, known), {
      next: `ambient explain ${[qualifiedName(definition), ...above].join('.')}`,
    })
  }
  return schemaAt(whole, path)!
}

function noField(place: string, name: string, known: readonly string[]): string {
  if (known.length === 0) return `${place} has no field "${name}": it is described no further`
  return `${place} has no field "${name}"${didYouMean(nearest(name, known))}\nit has ${known.join(', ')}`
}

function wholeSchema({ schema }: KindDefinition): JsonSchema {
  return { ...schema, properties: { ...HEADER, ...schema.properties } }
}

function isRequired(parent: JsonSchema | undefined, name: string): boolean {
  return parent !== undefined && requiredOf(parent).includes(name)
}

function factsOf(schema: JsonSchema, required: boolean): string[][] {
  const { enum: values, default: fallback, minimum, maximum, maxItems, pattern } = schema
  const range = [
    ...(minimum === undefined ? [] : [`from ${minimum}`]),
    ...(maximum === undefined ? [] : [`to ${maximum}`]),
  ]
  return [
    ...(required ? [['REQUIRED:', 'yes']] : []),
    ...(values ? [['ENUM:', values.map(String).join(', ')]] : []),
    ...(fallback === undefined ? [] : [['DEFAULT:', JSON.stringify(fallback)]]),
    ...(range.length === 0 ? [] : [['RANGE:', range.join(' ')]]),
    ...(maxItems === undefined ? [] : [['AT MOST:', `${maxItems} items`]]),
    ...(pattern === undefined ? [] : [['PATTERN:', pattern]]),
  ]
}

function fieldsText(
  definition: KindDefinition,
  path: readonly string[],
  schema: JsonSchema,
  recursive: boolean,
): readonly string[] {
  const rows = rowsOf(definition, path, schema, recursive, 0)
  if (rows.length === 0) return []
  const titles = ['FIELD', 'TYPE', 'LAYER', 'NOTE'].map((title) => ({ title }))
  return [
    '',
    'FIELDS:',
    ...layoutColumns(titles, rows)
      .trimEnd()
      .split('\n')
      .map((line) => `  ${line}`),
  ]
}

function rowsOf(
  definition: KindDefinition,
  path: readonly string[],
  schema: JsonSchema,
  recursive: boolean,
  depth: number,
): string[][] {
  const required = requiredOf(schema)
  const above = honourOf(definition, path)
  const children = path.length === 0 ? { ...HEADER, ...childSchemas(schema) } : childSchemas(schema)
  return Object.entries(children).flatMap(([name, child]) => {
    const below = [...path, name]
    const isHeader = path.length === 0 && name !== 'spec' && !Object.hasOwn(definition.schema.properties ?? {}, name)
    const honour: Honour | undefined =
      isHeader || (path.length === 0 && name === 'status') ? undefined : honourOf(definition, below)
    const row = [
      `${'  '.repeat(depth)}${name}`,
      typeName(child),
      honour?.layer ?? '-',
      noteOf(
        child,
        required.includes(name),
        honour && honour !== above && honour.says !== above.says ? honour : undefined,
      ),
    ]
    return [row, ...(recursive && !isHeader ? rowsOf(definition, below, child, recursive, depth + 1) : [])]
  })
}

/** What cannot be seen from name and type. */
function noteOf(
  { enum: values, default: fallback, description }: JsonSchema,
  required: boolean,
  honour?: Honour,
): string {
  const facts = [
    ...(required ? ['required'] : []),
    ...(values ? [`one of ${values.map(String).join(', ')}`] : []),
    ...(fallback === undefined ? [] : [`default ${JSON.stringify(fallback)}`]),
    ...(honour ? [honour.says] : []),
    ...(description ? [description] : []),
  ]
  return facts.join('; ')
}

function codeText(code: string): string {
  const known = findingKind(code)
  if (!known) {
    const suggestion = nearest(code, Object.keys(FINDING_CODES))
    throw usageError(`there is no code ${code}${didYouMean(suggestion)}`, 'ambient explain codes')
  }
  const { name, level, template, means, remedy, alike } = known
  return [
    `${code}  ${name}  ${level}${alike === undefined ? '' : `  (~ ${alike})`}`,
    '',
    ...wrapped(means, ''),
    '',
    'SAYS:',
    ...wrapped(template.replace(/%[sq]/g, '…'), '  '),
    'DO:',
    ...wrapped(remedy, '  '),
    'FIND:',
    '  ambient analyze -A',
    '',
  ].join('\n')
}

function codesText(): string {
  const titles = ['CODE', 'LEVEL', 'NAME', 'MEANS'].map((title) => ({ title }))
  return layoutColumns(
    titles,
    Object.entries(FINDING_CODES).map(([code, { level, name, means }]) => [code, level, name, firstSentence(means)]),
  )
}

function typesText(): string {
  const titles = ['TYPE', 'KIND', 'LAYER', 'HONOURED'].map((title) => ({ title }))
  return layoutColumns(
    titles,
    KINDS.map((definition) => {
      const { layer, says } = honourOf(definition)
      return [qualifiedName(definition), definition.kind, layer, says]
    }),
  )
}

function firstSentence(text: string): string {
  return /^.*?[.](?= |$)/.exec(text)?.[0] ?? text
}

/** Lines of at most WIDTH characters. */
function wrapped(text: string, indent: string): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > WIDTH) {
      lines.push(indent + line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, indent + line]
}
