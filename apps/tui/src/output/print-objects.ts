import type { KindDefinition, Resource } from '@ambient-lab/api'
import { cellText, layoutColumns } from './columns.ts'
import type { CustomColumn, Format } from './format.ts'
import { evaluatePath, renderTemplate } from './json-path.ts'

/** Objects of one kind, on their way out. */
export interface ObjectSet {
  readonly definition: KindDefinition
  readonly objects: readonly Resource[]
  /** One object that was named, and not a list of one. */
  readonly single: boolean
  /** Several namespaces: their column comes first. */
  readonly showNamespace: boolean
  readonly annotations?: Readonly<Record<string, string>>
}

export interface PrintInit {
  readonly sets: readonly ObjectSet[]
  readonly format: Format
  readonly headers: boolean
  readonly lab: string
  readonly nowMs: number
}

/** The text of the answer, in any format. Pure but for loading what the format needs. */
export async function objectsText(init: PrintInit): Promise<string> {
  const { sets, format } = init
  switch (format.type) {
    case 'table':
      return (await Promise.all(sets.map((set) => tableText(set, format.wide, init, sets.length > 1)))).join('\n')
    case 'json':
      return `${JSON.stringify(documentOf(init), null, 2)}\n`
    case 'yaml': {
      const { stringifyYaml } = await import('@ambient-lab/api')
      return stringifyYaml([documentOf(init)])
    }
    case 'jsonl':
      return allObjects(sets)
        .map((object) => `${JSON.stringify(object)}\n`)
        .join('')
    case 'name':
      return sets.map((set) => set.objects.map((object) => `${typedName(set.definition, object)}\n`).join('')).join('')
    case 'jsonpath': {
      const text = renderTemplate(format.template, documentOf(init))
      return text.endsWith('\n') || text === '' ? text : `${text}\n`
    }
    case 'custom-columns':
      return customColumnsText(format.columns, allObjects(sets), init.headers)
  }
}

/** One object as it is, or the list with what surrounds it. */
function documentOf({ sets, lab, nowMs }: PrintInit): unknown {
  const [first] = sets
  if (sets.length === 1 && first?.single) return first.objects[0]
  const items = allObjects(sets)
  const lost = Number(first?.annotations?.['ambient.lab/lost'] ?? 0)
  const silent = first?.annotations?.['ambient.lab/silent-nodes']
  return {
    schema: 'ambient.lab/list/1',
    apiVersion: 'v1',
    kind: sets.length === 1 ? `${first!.definition.kind}List` : 'List',
    lab,
    at: new Date(nowMs).toISOString(),
    items,
    lost,
    ...(silent ? { silent_nodes: silent.split(',') } : {}),
  }
}

function allObjects(sets: readonly ObjectSet[]): readonly Resource[] {
  return sets.flatMap(({ objects }) => objects)
}

async function tableText(set: ObjectSet, wide: boolean, init: PrintInit, typed: boolean): Promise<string> {
  const { renderTable } = await import('@ambient-lab/api')
  const table = renderTable(set.definition, set.objects, init.nowMs)
  const shown = table.columns.flatMap((column, index) => (wide || !column.wide ? [{ column, index }] : []))
  const columns = shown.map(({ column }) => ({
    title: column.title,
    right: column.type === 'integer' || column.type === 'number',
  }))
  const rows = table.rows.map((row) => [
    ...(set.showNamespace ? [row.object.metadata.namespace] : []),
    ...shown.map(({ index }) => (index === 0 && typed ? typedName(set.definition, row.object) : row.cells[index])),
  ])
  return layoutColumns(set.showNamespace ? [{ title: 'NAMESPACE' }, ...columns] : columns, rows, init.headers)
}

function customColumnsText(columns: readonly CustomColumn[], objects: readonly Resource[], headers: boolean): string {
  const rows = objects.map((object) =>
    columns.map(({ path }) => {
      const values = evaluatePath(path, object)
      if (values.length === 0) return '<none>'
      return values
        .map((value) => (typeof value === 'object' ? JSON.stringify(value) : cellText(String(value))))
        .join(',')
    }),
  )
  return layoutColumns(columns, rows, headers)
}

/** `svc/pay`: the first short name, which every command takes back. */
export function typedName({ shortNames, kind }: Pick<KindDefinition, 'shortNames' | 'kind'>, object: Resource): string {
  return `${shortNames?.[0] ?? kind.toLowerCase()}/${object.metadata.name}`
}
