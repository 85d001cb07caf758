import { CodedError, errorMessage } from '@ambient-lab/std'
import type { ContainerFiles } from '../hosting/container-files.ts'
import type { ContainerSpec } from '../hosting/workload.ts'

/** What of OPA's command line and configuration the lab follows. */
export interface OpaSettings {
  /** Policies and data: bundles, or files. */
  readonly paths: readonly string[]
  /** Of the decision: `envoy/authz/allow`. */
  readonly decision: string
  /** Allows whatever was decided. */
  readonly dryRun: boolean
  readonly skipRequestBodyParse: boolean
  /** One line of JSON for each decision. */
  readonly logsDecisions: boolean
}

const DECISION_DEFAULT = 'envoy/authz/allow'
const PLUGIN = 'plugins.envoy_ext_authz_grpc'
const PLUGIN_PORT = 9191
const API_PORT = 8181

/** Flags of `opa run` that have a value in the next word, as far as one may meet them. */
const FLAGS_WITH_VALUE: ReadonlySet<string> = new Set([
  ...[
    '-a',
    '--addr',
    '-c',
    '--config-file',
    '-f',
    '--format',
    '-l',
    '--log-level',
    '--log-format',
    '-m',
    '--max-errors',
  ],
  ...['--diagnostic-addr', '--ignore', '--set', '--set-file', '--shutdown-grace-period', '--authentication'],
])

/** Ports of the plugin, of the API and of diagnostics: what listens where no container port is declared. */
export function opaPorts({ command, args }: Pick<ContainerSpec, 'command' | 'args'>): number[] {
  const { flags } = words([...command, ...args])
  const sets = new Map((flags.get('--set') ?? []).flatMap(assignments))
  const plugin = portOf(sets.get(`${PLUGIN}.addr`)) ?? PLUGIN_PORT
  const api = portOf(flags.get('--addr')?.at(-1) ?? flags.get('-a')?.at(-1)) ?? API_PORT
  const diagnostics = portOf(flags.get('--diagnostic-addr')?.at(-1))
  return [...new Set([plugin, api, ...(diagnostics === undefined ? [] : [diagnostics])])]
}

/**
 * Reads `opa run --server [--set=KEY=VALUE] [--config-file=PATH] PATH…`; what is set wins over what is configured.
 * @throws CodedError OPA_CONFIG_INVALID
 */
export function readOpaSettings(
  { command, args }: Pick<ContainerSpec, 'command' | 'args'>,
  files: Pick<ContainerFiles, 'read'>,
  parseYaml: (text: string) => unknown,
): OpaSettings {
  const { flags, paths } = words([...command, ...args])
  const settings = new Map<string, unknown>()
  for (const path of [...(flags.get('--config-file') ?? []), ...(flags.get('-c') ?? [])]) {
    const file = files.read(path)
    if (!file) throw invalid(`there is no file ${path}`)
    flatten('', parsed(path, file, parseYaml), settings)
  }
  for (const [key, value] of (flags.get('--set') ?? []).flatMap(assignments)) settings.set(key, value)
  return {
    paths,
    decision: decisionOf(settings),
    dryRun: isTrue(settings.get(`${PLUGIN}.dry-run`)),
    skipRequestBodyParse: isTrue(settings.get(`${PLUGIN}.skip-request-body-parse`)),
    logsDecisions: isTrue(settings.get('decision_logs.console')),
  }
}

/** The plugin takes a path, or, as it did once, a query that is one. */
function decisionOf(settings: ReadonlyMap<string, unknown>): string {
  const path = settings.get(`${PLUGIN}.path`)
  const query = settings.get(`${PLUGIN}.query`)
  if (path && query) throw invalid('specify a value for only the "path" field')
  if (typeof path === 'string') return path.split('/').filter(Boolean).join('/')
  if (query === undefined) return DECISION_DEFAULT
  if (typeof query !== 'string' || !/^data(\.\w+)+$/.test(query)) throw invalid(`query ${query} is not data.NAME.NAME`)
  return query.split('.').slice(1).join('/')
}

function words(all: readonly string[]): { flags: ReadonlyMap<string, readonly string[]>; paths: readonly string[] } {
  const flags = new Map<string, string[]>()
  const paths: string[] = []
  for (let index = 0; index < all.length; index += 1) {
    const word = all[index]!
    if (!word.startsWith('-')) {
      if (!/^(.*\/)?opa$|^run$/.test(word)) paths.push(word)
      continue
    }
    const equals = word.indexOf('=')
    const name = equals < 0 ? word : word.slice(0, equals)
    const value = equals >= 0 ? word.slice(equals + 1) : FLAGS_WITH_VALUE.has(name) ? (all[++index] ?? '') : 'true'
    flags.set(name, [...(flags.get(name) ?? []), value])
  }
  return { flags, paths }
}

/** `a.b=1,c=true` */
function assignments(text: string): [string, string][] {
  return text.split(',').flatMap((pair) => {
    const equals = pair.indexOf('=')
    return equals < 0 ? [] : [[pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()] as [string, string]]
  })
}

function parsed(path: string, file: Uint8Array, parseYaml: (text: string) => unknown): unknown {
  try {
    return parseYaml(Buffer.from(file).toString('utf8'))
  } catch (error) {
    throw invalid(`${path}: ${errorMessage(error)}`)
  }
}

/** Objects into keys with dots. */
function flatten(prefix: string, value: unknown, into: Map<string, unknown>): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    into.set(prefix, value)
    return
  }
  for (const [key, inner] of Object.entries(value)) flatten(prefix === '' ? key : `${prefix}.${key}`, inner, into)
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true'
}

/** `:9191`, `0.0.0.0:8181`, `grpc://:9191` */
function portOf(address: string | undefined): number | undefined {
  const port = /:(\d{1,5})$/.exec(address ?? '')?.[1]
  return port === undefined ? undefined : Number(port)
}

function invalid(problem: string): CodedError {
  return new CodedError('OPA_CONFIG_INVALID', `opa: ${problem}`)
}
