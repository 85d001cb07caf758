import {
  type Analysis,
  analyze,
  applyDefaults,
  FINDING_LEVELS,
  type Finding,
  type FindingLevel,
  isAtLeast,
  type ManifestResource,
  objectKey,
} from '@ambient-lab/api'
import { readManifests } from '@ambient-lab/lab'
import { CodedError } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { usageError } from '../cli/usage-error.ts'
import { layoutColumns } from '../output/columns.ts'
import { namespacesOf } from './list-objects.ts'
import { ANALYSES } from './resource-types.ts'
import { objectText, parseSuppression } from './suppression.ts'

/** A finding, with its place when its object came from a file. */
export interface ReportedFinding extends Finding {
  readonly file?: string
  readonly line?: number
}

/**
 * What is found in the lab, in the files, or in both together.
 * @throws CodedError USAGE, NO_INPUT, MANIFEST_SYNTAX, MANIFEST_INVALID, LAB_NOT_RUNNING; NOT_FOUND when the files hold
 * no object that the lab knows
 */
export async function analyzeAll(context: CommandContext): Promise<readonly ReportedFinding[]> {
  const { flags } = context
  const suppressions = flags.list('suppress').map(parseSuppression)
  const useLab = !flags.given('use-lab') || flags.boolean('use-lab')
  const paths = flags.list('filename')
  if (!useLab && paths.length === 0) {
    throw usageError('without the lab there is nothing to analyze', 'ambient analyze --use-lab=false -f FILE')
  }
  const resources = paths.length === 0 ? [] : await readObjects(context, paths)
  const isMeant = meant(context, resources)
  const findings = useLab ? await askLab(context, resources) : await analyzeFiles(context, resources)
  const placeOf = placesOf(resources)
  return findings
    .filter((finding) => isMeant(finding) && !suppressions.some((isSuppressed) => isSuppressed(finding)))
    .map((finding) => ({ ...finding, ...placeOf(finding) }))
}

export function isFailed(report: readonly Finding[], threshold: string): boolean {
  return report.some(({ level }) => isAtLeast(level, threshold as FindingLevel))
}

export function formatReport(report: readonly ReportedFinding[]): string {
  if (report.length === 0) return 'nothing found\n'
  const rows = report.map(({ code, level, object, file, line, message }) => [
    code,
    level,
    objectText(object).replace(' ', '/'),
    file === undefined ? '-' : `${file}:${line}`,
    message,
  ])
  const titles = ['CODE', 'LEVEL', 'OBJECT', 'WHERE', 'MESSAGE'].map((title) => ({ title }))
  return `${layoutColumns(titles, rows)}${summary(report)}\n`
}

function summary(report: readonly Finding[]): string {
  const counts = FINDING_LEVELS.toReversed().flatMap((level) => {
    const count = report.filter((finding) => finding.level === level).length
    return count === 0 ? [] : [`${count} ${level.toLowerCase()}`]
  })
  const noun = report.length === 1 ? 'finding' : 'findings'
  return `${report.length} ${noun} (${counts.join(', ')}). Details: ambient explain ${report[0]!.code}`
}

async function readObjects(
  { flags, io }: CommandContext,
  paths: readonly string[],
): Promise<readonly ManifestResource[]> {
  const defaultNamespace = flags.word('namespace').split(',')[0] || 'default'
  const { resources, warnings } = await readManifests(paths, { defaultNamespace, readStdin: io.readStdin })
  for (const warning of warnings) io.warn(warning)
  if (resources.length > 0) return resources
  throw new CodedError('NOT_FOUND', `${paths.join(', ')}: no object of a kind that the lab knows`, {
    next: 'ambient explain types',
  })
}

async function askLab(context: CommandContext, resources: readonly ManifestResource[]): Promise<readonly Finding[]> {
  const client = await context.api()
  const { status } = await client.create<Analysis>(
    ANALYSES,
    {
      apiVersion: 'ambient.lab/v1',
      kind: 'Analysis',
      metadata: { name: 'analyze' },
      spec: { objects: resources.map(({ object }) => object) },
    },
    { signal: context.signal },
  )
  return status?.findings ?? []
}

function analyzeFiles({ clock }: CommandContext, resources: readonly ManifestResource[]): Promise<readonly Finding[]> {
  return analyze(
    resources.map(({ definition, object }) => applyDefaults(definition, object)),
    { nowMs: clock.now() },
  )
}

/** By namespace where one is named; else, of files, what is about their own objects. */
function meant(context: CommandContext, resources: readonly ManifestResource[]): (finding: Finding) => boolean {
  const { flags } = context
  const isNamed = flags.given('namespace') || flags.given('all-namespaces')
  if (resources.length > 0 && !isNamed) {
    const own = new Set(resources.map(({ object }) => keyOf(object.kind, object.metadata)))
    return ({ object }) => own.has(keyOf(object.kind, object))
  }
  const namespaces = namespacesOf(context)
  return ({ object }) =>
    namespaces[0] === undefined || object.namespace === undefined || namespaces.includes(object.namespace)
}

function placesOf(
  resources: readonly ManifestResource[],
): (finding: Finding) => { readonly file?: string; readonly line?: number } {
  const byKey = new Map(resources.map((resource) => [placeKey(resource.object.apiVersion, resource.object), resource]))
  return ({ object, path }) => {
    const resource = byKey.get(placeKey(object.apiVersion, { kind: object.kind, metadata: object }))
    if (!resource) return {}
    const { file, line } = path === undefined ? resource.position : resource.at(path)
    return { file, line }
  }
}

function placeKey(
  apiVersion: string,
  {
    kind,
    metadata,
  }: { readonly kind: string; readonly metadata: { readonly name: string; readonly namespace?: string } },
): string {
  return `${apiVersion} ${keyOf(kind, metadata)}`
}

function keyOf(kind: string, metadata: { readonly name: string; readonly namespace?: string }): string {
  return `${kind} ${objectKey(metadata)}`
}
