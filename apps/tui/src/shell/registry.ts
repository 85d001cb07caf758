import { defineCatalog } from '@ambient-lab/std'
import views from '../views/_catalog.ts'
import type { ViewDefinition } from './view.ts'

let catalog: ReadonlyMap<string, ViewDefinition> | undefined

/** Made on first use: some views list all of them, so the folder and this file know each other. */
function catalogue(): ReadonlyMap<string, ViewDefinition> {
  catalog ??= defineCatalog<ViewDefinition>(views, ({ id }) => id)
  return catalog
}

export function allViews(): readonly ViewDefinition[] {
  return [...catalogue().values()]
}

export function viewById(id: string): ViewDefinition | undefined {
  return catalogue().get(id)
}

/** By what `:` and `--view` take: any of its names, or an unambiguous beginning of one. */
export function viewByName(name: string): ViewDefinition | undefined {
  const exact = allViews().find(({ id, names }) => id === name || names.includes(name))
  if (exact) return exact
  const starting = allViews().filter(({ names }) => names.some((each) => each.startsWith(name)))
  return starting.length === 1 ? starting[0] : undefined
}
