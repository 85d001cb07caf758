import { CodedError, errorMessage } from '@ambient-lab/std'
import type { Document, LineCounter, Node, Pair } from 'yaml'
import { formatFieldError } from './field-errors.ts'
import { splitPath } from './json-path.ts'
import type { FieldError, KindDefinition } from './kind.ts'
import {
  ALIAS_EXPANSIONS_MAX,
  ALIASES_MAX,
  MANIFEST_CHARACTERS_MAX,
  MANIFEST_OBJECTS_MAX,
  NESTING_MAX,
} from './limits.ts'
import { isNestedTooDeep } from './nesting.ts'
import { type PlainDocument, readPlainYaml } from './plain-yaml.ts'
import { findKind } from './registry.ts'
import type { Resource } from './resource.ts'
import { validateResource } from './validate.ts'

export interface Position {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
}

export interface ManifestOptions {
  /** As messages name it. @default '<stdin>' */
  readonly file?: string
  /** For namespaced objects that name none; without it they stay without. */
  readonly defaultNamespace?: string
}

export interface ManifestResource {
  readonly definition: KindDefinition
  /** As written: no default filled in, nothing unknown removed. */
  readonly object: Resource
  readonly position: Position
  /** Where a JSON path stands in the text, or the nearest thing around it that is there. */
  at(path: string): Position
}

/** Something to tell about one place of a manifest. */
export interface ManifestFinding extends FieldError {
  readonly position: Position
}

/**
 * An object of a kind that the lab does not have, passed over. Without apiVersion and kind (both empty) it is no
 * Kubernetes object at all: a file of Helm values in a folder of manifests.
 */
export interface UnknownKind {
  readonly position: Position
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
}

export interface Manifest {
  /** In the order of the text; Lists are replaced by their items. */
  readonly resources: readonly ManifestResource[]
  readonly unknownKinds: readonly UnknownKind[]
  /** Breaches of a schema or of a kind's own rules; such objects are in `resources` all the same. */
  readonly problems: readonly ManifestFinding[]
  /** Fields that their kind does not have. */
  readonly warnings: readonly ManifestFinding[]
}

type Yaml = typeof import('./yaml-library.ts')

/** One object with the place it came from. */
interface Source {
  readonly value: unknown
  at(path: string): Position
}

/** A document as the library has it, or an item of a List. */
interface LibrarySource {
  readonly value: unknown
  /** Path of the object inside its document. */
  readonly prefix: readonly string[]
  readonly document: Document
}

/**
 * Reads YAML (several documents, JSON too) as Kubernetes would: YAML 1.1 words and octals, duplicate keys refused.
 * @throws CodedError MANIFEST_INVALID listing every problem with its file:line:column
 * @throws CodedError MANIFEST_SYNTAX, MANIFEST_TOO_LARGE as parseManifest
 */
export async function loadManifest(text: string, options: ManifestOptions = {}): Promise<Manifest> {
  const manifest = await parseManifest(text, options)
  if (manifest.problems.length === 0) return manifest
  throw new CodedError('MANIFEST_INVALID', manifest.problems.map(formatFinding).join('\n'), {
    where: options.file ?? '<stdin>',
    next: 'correct the fields named above and try again',
  })
}

/**
 * The same, with the problems as values.
 * @throws CodedError MANIFEST_SYNTAX with file:line:column and an excerpt, when the text is no YAML
 * @throws CodedError MANIFEST_TOO_LARGE when text, nesting, objects or alias expansion exceed limits.ts
 */
export async function parseManifest(text: string, options: ManifestOptions = {}): Promise<Manifest> {
  const yaml = await import('./yaml-library.ts')
  const file = options.file ?? '<stdin>'
  checkSize(text, file)
  const sources = plainSources(yaml, text, file) ?? librarySources(yaml, text, file)
  if (sources.length > MANIFEST_OBJECTS_MAX) throw tooLarge(file, `more than ${MANIFEST_OBJECTS_MAX} objects`)
  const collected = { resources: [], unknownKinds: [], problems: [], warnings: [] } as Collected
  for (const source of sources) collect(source, options, collected)
  return collected
}

function librarySources(yaml: Yaml, text: string, file: string): Source[] {
  const lines = new yaml.LineCounter()
  return parseDocuments(yaml, text, file, lines)
    .flatMap((document) => sourcesOf(yaml, document, file))
    .map((found) => {
      const locator = new Locator(yaml, found, file, lines)
      return { value: found.value, at: (path) => locator.at(path) }
    })
}

/** Fields of a plain text are looked for by the library, only when somebody asks where one is. */
function plainSources(yaml: Yaml, text: string, file: string): Source[] | undefined {
  const documents = readPlainYaml(text)
  if (!documents || documents.some(({ value }) => isList(value))) return undefined
  let whole: Source[] | undefined
  return documents.map(({ value, line, column }: PlainDocument, index) => ({
    value,
    at(path) {
      if (path === '') return { file, line, column }
      whole ??= librarySources(yaml, text, file)
      return whole[index]!.at(path)
    },
  }))
}

/** `policies/pay.yaml:7:3: spec.action: Unsupported value: …` */
export function formatFinding(finding: ManifestFinding): string {
  return `${formatPosition(finding.position)}: ${formatFieldError(finding)}`
}

/** `policies/pay.yaml:7:3` */
export function formatPosition({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`
}

/**
 * The value of one YAML or JSON document, under the same limits: for request bodies.
 * @throws CodedError as parseManifest; also when there are several documents
 */
export async function parseYaml(text: string, file = '<body>'): Promise<unknown> {
  const yaml = await import('./yaml-library.ts')
  checkSize(text, file)
  const documents = parseDocuments(yaml, text, file, new yaml.LineCounter())
  if (documents.length > 1) throw new CodedError('MANIFEST_SYNTAX', `${file}: more than one document`, { where: file })
  return documents[0] && toValue(documents[0], file)
}

/** Objects as YAML documents that this reader takes back unchanged, `---` between them. */
export async function stringifyYaml(objects: readonly unknown[]): Promise<string> {
  const { stringify } = await import('./yaml-library.ts')
  return objects.map((object) => stringify(object, { version: '1.1', aliasDuplicateObjects: false })).join('---\n')
}

interface Collected {
  readonly resources: ManifestResource[]
  readonly unknownKinds: UnknownKind[]
  readonly problems: ManifestFinding[]
  readonly warnings: ManifestFinding[]
}

function collect({ value, at }: Source, options: ManifestOptions, into: Collected): void {
  const header = headerOf(value)
  if ('path' in header) {
    into.problems.push({ ...header, position: at(header.path) })
    return
  }
  const definition = findKind(header)
  if (!definition) {
    into.unknownKinds.push({ ...header, position: at('') })
    return
  }
  const object = withNamespace(value as Resource, definition, options.defaultNamespace)
  const { errors, unknownFields } = validateResource(definition, object)
  into.resources.push({ definition, object, position: at(''), at })
  into.problems.push(...errors.map((error) => ({ ...error, position: at(error.path) })))
  into.warnings.push(...unknownFields.map((field) => ({ ...field, position: at(field.path) })))
}

function headerOf(value: unknown): FieldError | { apiVersion: string; kind: string; name: string } {
  if (!isObject(value)) return { path: '', message: 'Invalid value: want an object with apiVersion, kind and metadata' }
  const { apiVersion, kind, metadata } = value
  if (apiVersion === undefined && kind === undefined) return { apiVersion: '', kind: '', name: '' }
  if (typeof apiVersion !== 'string' || apiVersion === '') return { path: 'apiVersion', message: 'Required value' }
  if (typeof kind !== 'string' || kind === '') return { path: 'kind', message: 'Required value' }
  const name = isObject(metadata) && typeof metadata.name === 'string' ? metadata.name : ''
  return { apiVersion, kind, name }
}

function withNamespace(object: Resource, { scope }: KindDefinition, defaultNamespace: string | undefined): Resource {
  if (scope === 'Cluster' || defaultNamespace === undefined) return object
  if (!isObject(object.metadata) || object.metadata.namespace) return object
  return { ...object, metadata: { ...object.metadata, namespace: defaultNamespace } }
}

/** `kind: List`, and the typed lists that `kubectl get -o yaml` of old wrote. */
function sourcesOf(yaml: Yaml, document: Document, file: string): LibrarySource[] {
  if (document.contents === null || (yaml.isScalar(document.contents) && document.contents.value === null)) return []
  const value = toValue(document, file)
  if (!isList(value)) return [{ value, prefix: [], document }]
  return value.items.map((item, index) => ({ value: item, prefix: ['items', String(index)], document }))
}

function isList(value: unknown): value is { readonly items: readonly unknown[] } {
  return isObject(value) && typeof value.kind === 'string' && value.kind.endsWith('List') && Array.isArray(value.items)
}

function checkSize(text: string, file: string): void {
  if (text.length > MANIFEST_CHARACTERS_MAX) throw tooLarge(file, `more than ${MANIFEST_CHARACTERS_MAX} characters`)
  if ((text.match(/^---/gm)?.length ?? 0) > MANIFEST_OBJECTS_MAX) {
    throw tooLarge(file, `more than ${MANIFEST_OBJECTS_MAX} documents`)
  }
}

function parseDocuments(yaml: Yaml, text: string, file: string, lines: LineCounter): Document[] {
  if (isNestedTooDeep(text, (text) => new yaml.Lexer().lex(text)))
    throw tooLarge(file, `nested deeper than ${NESTING_MAX}`)
  const parsed = yaml.parseAllDocuments(text, {
    version: '1.1',
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    // As Kubernetes' reader: no dates, no base 60, no binary; those stay text.
    customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !isForeignTag(tag)),
  })
  const documents = 'empty' in parsed ? [] : parsed
  for (const document of documents) {
    const [error] = document.errors
    if (error) throw syntaxError(text, file, lines, error.pos[0], error.message)
    refuseOddities(yaml, document, text, file, lines)
  }
  return documents
}

function isForeignTag(tag: { tag: string; format?: string }): boolean {
  return tag.format === 'TIME' || /:(timestamp|binary|omap|set|pairs)$/.test(tag.tag)
}

/**
 * Refuses what Kubernetes refuses and the library would take, or take long over: keys that are there twice (it compares
 * every key with every other), keys that are no words, aliases by the thousand (each walks all anchors), or of nothing.
 */
function refuseOddities(yaml: Yaml, document: Document, text: string, file: string, lines: LineCounter): void {
  const refuse = (node: Node | null, why: string) => syntaxError(text, file, lines, node?.range?.[0] ?? 0, why)
  const anchors = new Set<string>()
  let references = 0
  yaml.visit(document, {
    Node(_, node, path) {
      if (yaml.isMap(node)) {
        const key = oddKey(yaml, node.items)
        if (key) throw refuse(key, yaml.isScalar(key) ? `key "${keyText({ key })}" is here twice` : 'a key is one word')
      }
      if (!yaml.isAlias(node) && !node.anchor) return
      references++
      if (references > ALIASES_MAX) throw tooLarge(file, `more than ${ALIASES_MAX} anchors and aliases`)
      if (!yaml.isAlias(node)) anchors.add(node.anchor!)
      else if (!anchors.has(node.source) || isInside(path, node.source)) {
        throw refuse(node, `alias *${node.source} names no value before it`)
      }
    },
  })
}

/** The first key that is no scalar or was there before; merge keys may repeat. */
function oddKey(yaml: Yaml, pairs: readonly Pair[]): Node | undefined {
  const seen = new Set<string>()
  const odd = pairs.find((pair) => {
    if (!yaml.isScalar(pair.key)) return true
    const text = keyText(pair)
    return text !== '<<' && seen.size === seen.add(text).size
  })
  return odd?.key as Node | undefined
}

function isInside(ancestors: readonly unknown[], anchor: string): boolean {
  return ancestors.some((ancestor) => isObject(ancestor) && ancestor.anchor === anchor)
}

function toValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIAS_EXPANSIONS_MAX })
  } catch (error) {
    // Two things are found only here: aliases that multiply (a ReferenceError), and a merge key without a map.
    if (error instanceof ReferenceError) throw tooLarge(file, 'its aliases stand for too many values')
    throw new CodedError('MANIFEST_SYNTAX', `${file}: ${errorMessage(error)}`, { where: file, cause: error })
  }
}

function syntaxError(text: string, file: string, lines: LineCounter, offset: number, message: string): CodedError {
  const { line, col } = lines.linePos(offset)
  const position = { file, line, column: Math.max(1, col) }
  const excerpt = excerptOf(text, position)
  return new CodedError('MANIFEST_SYNTAX', `${formatPosition(position)}: ${message}\n${excerpt}`, {
    where: formatPosition(position),
  })
}

const EXCERPT_WIDTH_MAX = 100

/** The line before and the line itself, with a caret below the column. */
function excerptOf(text: string, { line, column }: Position): string {
  const all = text.split('\n')
  const gutter = String(line).length
  const shown = [line - 1, line]
    .filter((number) => number >= 1 && number <= all.length)
    .map((number) => `${String(number).padStart(gutter)} | ${all[number - 1]!.slice(0, EXCERPT_WIDTH_MAX)}`)
  const caret = column <= EXCERPT_WIDTH_MAX ? [`${' '.repeat(gutter)} | ${' '.repeat(column - 1)}^`] : []
  return [...shown, ...caret].join('\n')
}

function tooLarge(file: string, what: string): CodedError {
  return new CodedError('MANIFEST_TOO_LARGE', `${file}: ${what}`, { where: file })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Finds JSON paths of one object in the text, only when somebody asks. */
class Locator {
  readonly #yaml: Yaml
  readonly #source: LibrarySource
  readonly #file: string
  readonly #lines: LineCounter

  constructor(yaml: Yaml, source: LibrarySource, file: string, lines: LineCounter) {
    this.#yaml = yaml
    this.#source = source
    this.#file = file
    this.#lines = lines
  }

  at(path: string): Position {
    let node = this.#source.document.contents as Node | null
    let offset = node?.range?.[0] ?? 0
    for (const step of [...this.#source.prefix, ...splitPath(path)]) {
      const found = this.#step(node, step)
      if (!found) break
      node = found.value
      offset = found.offset
    }
    const { line, col } = this.#lines.linePos(offset)
    return { file: this.#file, line: Math.max(1, line), column: Math.max(1, col) }
  }

  /** A field is found at its key, an item where it starts. */
  #step(node: Node | null, step: string): { value: Node | null; offset: number } | undefined {
    const { isAlias, isMap, isSeq } = this.#yaml
    const target = isAlias(node) ? node.resolve(this.#source.document) : node
    if (isSeq(target)) {
      const item = target.items[Number(step)] as Node | undefined
      return item?.range ? { value: item, offset: item.range[0] } : undefined
    }
    if (!isMap(target)) return undefined
    const pair = target.items.find((candidate) => keyText(candidate) === step)
    return pair && { value: pair.value as Node | null, offset: keyOffset(pair) }
  }
}

function keyOffset({ key }: Pair): number {
  return (key as Node | null)?.range?.[0] ?? 0
}

function keyText({ key }: Pick<Pair, 'key'>): string {
  const value = typeof key === 'object' && key !== null && 'value' in key ? key.value : key
  return typeof value === 'symbol' ? (value.description ?? '') : String(value)
}
