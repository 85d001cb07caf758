import { formatAge } from '@ambient-lab/std'
import type { Column, KindDefinition } from './kind.ts'
import type { Resource } from './resource.ts'

/** One column of a table that is ready to print; `value` is gone, the cells are in the rows. */
export interface TableColumn {
  /** Upper case, as printed. */
  readonly title: string
  readonly type: NonNullable<Column['type']>
  /** Shown only with `-o wide`: priority 1 in a Kubernetes Table. */
  readonly wide: boolean
  readonly description: string
}

export interface TableRow<R extends Resource = Resource> {
  /** As many as there are columns. */
  readonly cells: readonly (string | number)[]
  readonly object: R
}

export interface Table<R extends Resource = Resource> {
  readonly columns: readonly TableColumn[]
  readonly rows: readonly TableRow<R>[]
}

const NAME: Column = {
  title: 'NAME',
  description: 'Unique within the namespace.',
  value: ({ metadata }) => metadata.name,
}

const NAMESPACE: Column = { title: 'NAMESPACE', value: ({ metadata }) => metadata.namespace ?? '' }

const AGE: Column = { title: 'AGE', description: 'Time since the object was made.', value: ageText }

/**
 * Rows of objects of one kind, in the order given. Pure.
 * @param options.wide include the columns of `-o wide`. @default true: the reader chooses by `wide`
 * @param options.namespace put a NAMESPACE column first, for `-A`; kubectl adds its own. @default false
 */
export function renderTable<R extends Resource>(
  definition: KindDefinition,
  objects: readonly R[],
  nowMs: number,
  options: { readonly wide?: boolean; readonly namespace?: boolean } = {},
): Table<R> {
  const { wide = true, namespace = false } = options
  const all = [...(namespace && definition.scope === 'Namespaced' ? [NAMESPACE] : []), ...columnsOf(definition)]
  const columns = wide ? all : all.filter((column) => !column.wide)
  return {
    columns: columns.map(({ title, type = 'string', wide = false, description = '' }) => ({
      title,
      type,
      wide,
      description,
    })),
    rows: objects.map((object) => ({ cells: columns.map((column) => cell(column, object, nowMs)), object })),
  }
}

/** All columns of the kind in printing order: NAME, its own, AGE, its wide ones. */
export function columnsOf(definition: Pick<KindDefinition, 'columns' | 'bareColumns'>): readonly Column[] {
  if (definition.bareColumns) return definition.columns
  const own = definition.columns.filter(({ wide }) => !wide)
  return [NAME, ...own, AGE, ...definition.columns.filter(({ wide }) => wide)]
}

/** An object of somebody's own making must not take a list down: a column that cannot read it shows `<invalid>`. */
function cell(column: Column, object: Resource, nowMs: number): string | number {
  try {
    return column.value(object, nowMs)
  } catch (error) {
    if (error instanceof TypeError) return '<invalid>'
    throw error
  }
}

function ageText({ metadata }: Resource, nowMs: number): string {
  const createdMs = Date.parse(metadata.creationTimestamp ?? '')
  return Number.isFinite(createdMs) ? formatAge(nowMs - createdMs) : '<unknown>'
}
