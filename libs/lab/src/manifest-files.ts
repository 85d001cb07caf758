import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  formatFinding,
  formatPosition,
  type Manifest,
  type ManifestResource,
  objectKey,
  parseManifest,
  qualifiedName,
} from '@ambient-lab/api'
import { CodedError, errorCode } from '@ambient-lab/std'

export interface ManifestSet {
  readonly resources: readonly ManifestResource[]
  /** Unknown kinds and fields, with file:line:column. */
  readonly warnings: readonly string[]
}

/** Folders give their files of these endings, sorted by name, without subfolders. */
const MANIFEST_FILE = /\.(ya?ml|json)$/

/**
 * Reads files, folders and standard input (`-`) completely before anything is done with any of them.
 * @throws CodedError NO_INPUT, MANIFEST_SYNTAX, MANIFEST_INVALID with every problem of every file
 */
export async function readManifests(
  paths: readonly string[],
  options: { defaultNamespace: string; readStdin?: () => Promise<string> },
): Promise<ManifestSet> {
  const texts = (await Promise.all(paths.map((path) => readTexts(path, options.readStdin)))).flat()
  const { defaultNamespace } = options
  const manifests = await Promise.all(texts.map(({ file, text }) => parseManifest(text, { file, defaultNamespace })))
  const problems = [...manifests.flatMap((manifest) => manifest.problems.map(formatFinding)), ...duplicates(manifests)]
  if (problems.length > 0) {
    throw new CodedError('MANIFEST_INVALID', problems.join('\n'), { next: 'correct these; nothing was applied' })
  }
  return { resources: manifests.flatMap(({ resources }) => resources), warnings: manifests.flatMap(warningsOf) }
}

interface NamedText {
  readonly file: string
  readonly text: string
}

async function readTexts(path: string, readStdin: (() => Promise<string>) | undefined): Promise<NamedText[]> {
  if (path === '-') return readStdin ? [{ file: '<stdin>', text: await readStdin() }] : []
  try {
    if (!statSync(path).isDirectory()) return [{ file: path, text: readFileSync(path, 'utf8') }]
    const files = readdirSync(path)
      .filter((file) => MANIFEST_FILE.test(file))
      .sort()
    if (files.length === 0) throw noInput(`${path} holds no .yaml, .yml or .json file`)
    return files.map((file) => ({ file: join(path, file), text: readFileSync(join(path, file), 'utf8') }))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw noInput(`there is no ${path}`)
    throw error
  }
}

function noInput(message: string): CodedError {
  return new CodedError('NO_INPUT', message, { next: 'name a file, a folder, or - for standard input' })
}

function warningsOf({ unknownKinds, warnings }: Manifest): string[] {
  return [
    ...unknownKinds.map(
      ({ position, apiVersion, kind, name }) =>
        `${formatPosition(position)}: ${kind} ${name} (${apiVersion}) is a kind this lab does not have: passed over`,
    ),
    ...warnings.map(formatFinding),
  ]
}

/** Two texts for one object: which of them wins would depend on luck. */
function duplicates(manifests: readonly Manifest[]): string[] {
  const first = new Map<string, ManifestResource>()
  const problems: string[] = []
  for (const resource of manifests.flatMap(({ resources }) => resources)) {
    const { definition, object } = resource
    if (!object.metadata?.name) continue
    const key = `${qualifiedName(definition)} ${objectKey(object.metadata)}`
    const before = first.get(key)
    if (before)
      problems.push(`${formatPosition(resource.position)}: ${key} is also at ${formatPosition(before.position)}`)
    else first.set(key, resource)
  }
  return problems
}
