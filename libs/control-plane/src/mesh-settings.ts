import { type ConfigMap, objectKey, parseYaml } from '@ambient-lab/api'
import { CodedError, Emitter, errorMessage } from '@ambient-lab/std'
import type { Cluster } from './cluster.ts'
import type { EventRecorder } from './events.ts'
import { readExtensionProvider } from './extension-provider-fields.ts'
import type { MeshConfig } from './mesh-config.ts'
import { invalid, isObject, list, object, oneOf, string, texts } from './settings-fields.ts'
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
  extensionProviders: (value, field) =>
    list(value, field).map((one, index) => readExtensionProvider(one, `${field}[${index}]`)),
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

async function parseText(text: string): Promise<unknown> {
  // Most labs set nothing: they need not wait for the YAML library to load.
  if (text.trim() === '') return undefined
  try {
    return await parseYaml(text)
  } catch (error) {
    throw invalid(errorMessage(error))
  }
}

function liveView(base: MeshConfig, current: () => MeshConfig): MeshConfig {
  const live = {}
  for (const name of Object.keys(base) as (keyof MeshConfig)[]) {
    Object.defineProperty(live, name, { enumerable: true, get: () => current()[name] })
  }
  return live as MeshConfig
}
