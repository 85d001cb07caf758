import type { Resource } from '../resource.ts'
import { type AnalysisSettings, AnalysisWorld } from './analysis-world.ts'
import type { Analyzer } from './analyzer.ts'
import { FINDING_LEVELS, type Finding } from './finding.ts'

export type { AnalysisSettings } from './analysis-world.ts'
export type { Analyzer } from './analyzer.ts'

/** Every analyzer there is, loaded when somebody asks. */
export async function loadAnalyzers(): Promise<readonly Analyzer[]> {
  return (await import('./analyzers/_catalog.ts')).default
}

/**
 * What all analyzers (or those given) find in these objects together: the most serious first, then by code and object.
 * Opens nothing, changes nothing.
 */
export async function analyze(
  objects: Iterable<Resource>,
  settings: Partial<AnalysisSettings> = {},
  analyzers?: readonly Analyzer[],
): Promise<readonly Finding[]> {
  const world = new AnalysisWorld(objects, settings)
  const found = (analyzers ?? (await loadAnalyzers())).flatMap((analyzer) => [...analyzer.find(world)])
  return found.sort(
    (a, b) => FINDING_LEVELS.indexOf(b.level) - FINDING_LEVELS.indexOf(a.level) || compare(sortKey(a), sortKey(b)),
  )
}

function sortKey({ code, object, path = '', message }: Finding): string {
  return [code, object.kind, object.namespace ?? '', object.name, path, message].join('\0')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
