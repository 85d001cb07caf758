import { type ConfigMap, objectKey, parseYaml } from '@ambient-lab/api'
import { CodedError, Emitter, errorMessage } from '@ambient-lab/std'
import type { Cluster } from './cluster.ts'
import type { EventRecorder } from './events.ts'
import type { ExtensionProvider } from './extension-provider.ts'
import type { MeshConfig } from './mesh-config.ts'
import { CONFIG_MAPS } from './stored-kinds.ts'

/** Istio's name for it, in the root namespace; the settings are YAML under `mesh`. */
const CONFIG_MAP = 'istio'
const KEY = 'mesh'

export interface MeshSettingsComponents {
  readonly cluster: Cluster
  readonly events: EventRecorder
}

/**
 * The settings of the mesh: those that the control plane was started with, and over them what users write into the
 * ConfigMap `istio` of the root namespace, as in a cluster, while the lab runs. Settings that cannot be read leave the
 * former ones as they are, and the ConfigMap gets an event that says why.
 */
export class MeshSettings implements Disposable {
  /** Always the current ones: whoever holds it need not be told. */
  readonly mesh: MeshConfig
  readonly onChange = new Emitter<void>()
  readonly #components: MeshSettingsComponents
  readonly #base: MeshConfig
  readonly #stop: () => void
  #current: MeshConfig
  /** Readings overtake each other: only the last one counts. */
  #reading = 0

  constructor(components: MeshSettingsComponents, base: MeshConfig) {
    this.#components = components
    this.#base = base
    this.#current = base
    this.mesh = liveView(base, () => this.#current)
    this.#stop = components.cluster.watch(({ type, operation, object }) => {
      if (type !== CONFIG_MAPS || objectKey(object.metadata) !== this.#key) return
      void this.#read(operation === 'deleted' ? undefined : (object as ConfigMap))
    })
  }

  /** Reads what is stored. */
  start(): Promise<void> {
    return this.#read(this.#components.cluster.get(CONFIG_MAPS, this.#key))
  }

  [Symbol.dispose](): void {
    this.#stop()
    this.#reading += 1
  }

  get #key(): string {
    return `${this.#base.rootNamespace}/${CONFIG_MAP}`
  }

  async #read(configMap: ConfigMap | undefined): Promise<void> {
    this.#reading += 1
    const reading = this.#reading
    try {
      const settings = await parseMeshSettings(configMap?.data?.[KEY] ?? '')
      if (reading !== this.#reading) return
      this.#current = { ...this.#base, ...settings }
      this.onChange.emit()
    } catch (error) {
      if (!CodedError.is(error, 'MESH_CONFIG_INVALID') || !configMap) throw error
      const occurrence = { type: 'Warning', reason: 'MeshConfigInvalid', message: error.message } as const
      this.#components.events.record(configMap, { component: 'control-plane' }, occurrence)
    }
  }
}

/** Settings that may change while a lab runs. */
type Settings = Pick<
  MeshConfig,
  | 'trustDomainAliases'
  | 'extensionProviders'
  | 'serviceScopeConfigs'
  | 'serviceEntryVisibility'
  | 'accessLogFile'
  | 'accessLogEncoding'
  | 'accessLogFormat'
  | 'outboundTrafficPolicy'
  | 'pathNormalization'
>

/**
 * MeshConfig as Istio writes it, as far as the lab follows it; other fields are passed over.
 * @throws CodedError MESH_CONFIG_INVALID, naming the field
 */
export async function parseMeshSettings(text: string): Promise<Partial<Settings>> {
  const value = await parseText(text)
  if (value === null || value === undefined) return {}
  if (!isObject(value)) throw invalid('it is no object')
  const settings: Record<string, unknown> = {}
  for (const [field, read] of Object.entries(FIELDS)) {
    if (value[field] !== undefined) settings[field] = read(value[field], field)
  }
  return settings
}

const FIELDS: Readonly<Record<keyof Settings, (value: unknown, field: string) => unknown>> = {
  trustDomainAliases: texts,
  extensionProviders: (value, field) => list(value, field).map((one, index) => provider(one, `${field}[${index}]`)),
  serviceScopeConfigs: (value, field) => list(value, field).map((one, index) => object(one, `${field}[${index}]`)),
  serviceEntryVisibility: object,
  accessLogFile: string,
  accessLogEncoding: (value, field) => oneOf(value, field, ['TEXT', 'JSON']),
  accessLogFormat: string,
  outboundTrafficPolicy: (value, field) => ({
    mode: oneOf(object(value, field).mode, `${field}.mode`, ['ALLOW_ANY', 'REGISTRY_ONLY']),
  }),
  pathNormalization: (value, field) => ({
    normalization: oneOf(object(value, field).normalization, `${field}.normalization`, [
      'NONE',
      'BASE',
      'MERGE_SLASHES',
      'DECODE_AND_MERGE_SLASHES',
    ]),
  }),
}

/** Istio takes ports as numbers and as texts. */
function provider(value: unknown, field: string): ExtensionProvider {
  const { name, ...kinds } = object(value, field)
  const read = Object.entries(kinds).map(([kind, settings]) => {
    const place = `${field}.${kind}`
    const { port, ...rest } = object(settings, place)
    if (rest.service !== undefined) string(rest.service, `${place}.service`)
    return [kind, { ...rest, ...(port !== undefined && { port: Number(port) }) }]
  })
  return { name: string(name, `${field}.name`), ...Object.fromEntries(read) }
}

async function parseText(text: string): Promise<unknown> {
  try {
    return await parseYaml(text)
  } catch (error) {
    throw invalid(errorMessage(error))
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function object(value: unknown, field: string): Record<string, unknown> {
  if (!isObject(value)) throw invalid(`${field} is no object`)
  return value
}

function list(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(`${field} is no list`)
  return value
}

function string(value: unknown, field: string): string {
  if (typeof value !== 'string') throw invalid(`${field} is no text`)
  return value
}

function texts(value: unknown, field: string): readonly string[] {
  return list(value, field).map((one, index) => string(one, `${field}[${index}]`))
}

function oneOf(value: unknown, field: string, values: readonly string[]): string {
  const text = string(value, field)
  if (!values.includes(text)) throw invalid(`${field} is none of ${values.join(', ')}`)
  return text
}

function invalid(reason: string): CodedError {
  return new CodedError('MESH_CONFIG_INVALID', `the mesh settings are not followed: ${reason}`)
}

function liveView(base: MeshConfig, current: () => MeshConfig): MeshConfig {
  const live = {}
  for (const name of Object.keys(base) as (keyof MeshConfig)[]) {
    Object.defineProperty(live, name, { enumerable: true, get: () => current()[name] })
  }
  return live as MeshConfig
}
