import type { WorkloadMode } from './istio-fields.ts'
import type { JsonSchema } from './kind.ts'
import { ANY_OBJECT, array, object, oneOf, PORT, string, withRules } from './schema.ts'

/** Which traffic an extension is for; what is absent matches all. */
export interface TrafficSelector {
  readonly mode?: 'UNDEFINED' | WorkloadMode
  readonly ports?: readonly { readonly number: number }[]
}

/** A WebAssembly module and how it is run. */
export interface WasmModule {
  /** `oci://`, `http(s)://` or `file://`; without a scheme `oci://`. */
  readonly url: string
  readonly sha256?: string
  readonly imagePullPolicy?: 'UNSPECIFIED_POLICY' | 'IfNotPresent' | 'Always'
  readonly imagePullSecret?: string
  readonly verificationKey?: string
  readonly pluginConfig?: Readonly<Record<string, unknown>>
  readonly pluginName?: string
  readonly failStrategy?: 'FAIL_CLOSE' | 'FAIL_OPEN' | 'FAIL_RELOAD'
  readonly type?: 'UNSPECIFIED_PLUGIN_TYPE' | 'HTTP' | 'NETWORK'
  readonly vmConfig?: { readonly env?: readonly WasmEnv[] }
}

export interface WasmEnv {
  readonly name: string
  /** @default 'INLINE' */
  readonly valueFrom?: 'INLINE' | 'HOST'
  readonly value?: string
}

const SCHEMES = ['http:', 'https:', 'file:', 'oci:']

const URL_TEXT = withRules<string>(string({ minLength: 1 }), {
  'url must have schema one of [http, https, file, oci]': (text) => {
    const { protocol } = URL.parse(text) ?? URL.parse(`http://${text}`) ?? {}
    // `example.com:5000/module` reads as a scheme with a dot in it.
    return protocol !== undefined && (SCHEMES.includes(protocol) || !text.includes('://'))
  },
})

const ENV = withRules<WasmEnv>(
  object(
    {
      name: string({ minLength: 1, maxLength: 256 }),
      value: string({ maxLength: 2048 }),
      valueFrom: oneOf('INLINE', 'HOST'),
    },
    { required: ['name'] },
  ),
  {
    'value may only be set when valueFrom is INLINE': ({ valueFrom, value }) =>
      valueFrom !== 'HOST' || value === undefined,
  },
)

export const WASM_MODULE: Readonly<Record<string, JsonSchema>> = {
  failStrategy: oneOf('FAIL_CLOSE', 'FAIL_OPEN', 'FAIL_RELOAD'),
  imagePullPolicy: oneOf('UNSPECIFIED_POLICY', 'IfNotPresent', 'Always'),
  imagePullSecret: string({ minLength: 1, maxLength: 253 }),
  pluginConfig: ANY_OBJECT,
  pluginName: string({ minLength: 1, maxLength: 256 }),
  sha256: string({ pattern: '(^$|^[a-f0-9]{64}$)' }),
  type: oneOf('UNSPECIFIED_PLUGIN_TYPE', 'HTTP', 'NETWORK'),
  url: URL_TEXT,
  verificationKey: string(),
  vmConfig: object({
    env: array(ENV, { maxItems: 256, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
  }),
}

export const TRAFFIC_SELECTORS = array(
  object({
    mode: oneOf('UNDEFINED', 'CLIENT', 'SERVER', 'CLIENT_AND_SERVER'),
    ports: array(object({ number: PORT }, { required: ['number'] }), {
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['number'],
    }),
  }),
)
