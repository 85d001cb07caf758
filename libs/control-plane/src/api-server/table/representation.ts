import { type Resource, renderTable, type TableColumn } from '@ambient-lab/api'
import { jsonText } from '../../store/json-text.ts'
import type { ServedKind } from '../served-kinds.ts'
import { badRequest } from '../status-error.ts'
import type { Accepted } from './negotiation.ts'

/** What a row carries beside its cells. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** @throws StatusError 400 */
export function parseIncludeObject(parameter: string | null): IncludeObject {
  if (parameter === null || parameter === '') return 'Metadata'
  if (parameter === 'None' || parameter === 'Metadata' || parameter === 'Object') return parameter
  throw badRequest(`invalid includeObject value: ${JSON.stringify(parameter)}: must be None, Metadata or Object`)
}

/** Everything that decides how one object of a kind is written for one caller. */
export interface Rendering {
  readonly kind: ServedKind
  readonly accepted: Accepted
  readonly includeObject: IncludeObject
  readonly nowMs: number
}

export interface ListMeta {
  readonly resourceVersion: string
  readonly continue?: string
  readonly remainingItemCount?: number
  readonly annotations?: Readonly<Record<string, string>>
}

/** One object as JSON text in the form that was asked for. */
export function renderObject(object: Resource, rendering: Rendering): string {
  const { accepted, kind } = rendering
  if (accepted.representation === 'table') {
    return renderTableText([object], { resourceVersion: object.metadata.resourceVersion ?? '' }, rendering)
  }
  return accepted.representation === 'metadata' ? metadataText(object, rendering) : objectText(object, kind)
}

/** A list as JSON text. Items are texts that were made once for each object, so ten thousand of them are one join. */
export function renderList(objects: readonly Resource[], meta: ListMeta, rendering: Rendering): string {
  const { accepted, kind } = rendering
  if (accepted.representation === 'table') return renderTableText(objects, meta, rendering)
  const partial = accepted.representation === 'metadata'
  const texts = objects.map((object) => (partial ? metadataText(object, rendering) : objectText(object, kind)))
  const listKind = partial ? 'PartialObjectMetadataList' : `${kind.definition.kind}List`
  const apiVersion = partial ? `meta.k8s.io/${accepted.metaVersion}` : kind.apiVersion
  const head = JSON.stringify({ kind: listKind, apiVersion, metadata: meta })
  return `${head.slice(0, -1)},"items":[${texts.join(',')}]}`
}

/** @param withColumns a watch names the columns in its first table only */
export function renderTableText(
  objects: readonly Resource[],
  meta: ListMeta,
  rendering: Rendering,
  withColumns = true,
): string {
  const { kind, accepted, nowMs } = rendering
  const { columns, rows } = renderTable(kind.definition, objects, nowMs)
  const head = JSON.stringify({
    kind: 'Table',
    apiVersion: `meta.k8s.io/${accepted.metaVersion}`,
    metadata: meta,
    columnDefinitions: withColumns ? columns.map(columnDefinition) : [],
  })
  const rowTexts = rows.map(({ cells, object }) => {
    const cellsText = JSON.stringify(cells)
    return `{"cells":${cellsText},"object":${rowObjectText(object, rendering)}}`
  })
  return `${head.slice(0, -1)},"rows":[${rowTexts.join(',')}]}`
}

/** Kubernetes writes titles as words ("Name"); kubectl prints them in upper case again. */
function columnDefinition({ title, type, wide, description }: TableColumn) {
  const isName = title === 'NAME'
  return { name: words(title), type, format: isName ? 'name' : '', description, priority: wide ? 1 : 0 }
}

function words(title: string): string {
  return title.replace(/[A-Z]+/g, (word) => word[0]! + word.slice(1).toLowerCase())
}

function rowObjectText(object: Resource, rendering: Rendering): string {
  if (rendering.includeObject === 'None') return 'null'
  return rendering.includeObject === 'Object' ? objectText(object, rendering.kind) : metadataText(object, rendering)
}

const metadataTexts = new WeakMap<Resource, string>()

function metadataText(object: Resource, { accepted }: Rendering): string {
  let metadata = metadataTexts.get(object)
  if (metadata === undefined) {
    metadata = JSON.stringify(object.metadata)
    metadataTexts.set(object, metadata)
  }
  return `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/${accepted.metaVersion}","metadata":${metadata}}`
}

/** Under another version than the stored one only the name of the version differs. */
function objectText(object: Resource, kind: ServedKind): string {
  if (object.apiVersion === kind.apiVersion) return jsonText(object)
  return JSON.stringify({ ...object, apiVersion: kind.apiVersion })
}
