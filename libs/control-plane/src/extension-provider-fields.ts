import type { ExtensionProvider } from './extension-provider.ts'
import {
  boolean,
  duration,
  type FieldReader,
  fields,
  object,
  string,
  textMap,
  texts,
  uint32,
} from './settings-fields.ts'

const EXT_AUTHZ: Readonly<Record<string, FieldReader>> = {
  service: string,
  port: uint32,
  timeout: duration,
  failOpen: boolean,
  statusOnError: (value, field) => (typeof value === 'number' ? String(value) : string(value, field)),
  clearRouteCache: boolean,
  includeRequestBodyInCheck: fields({ maxRequestBytes: uint32, allowPartialMessage: boolean, packAsBytes: boolean }),
}

const EXT_AUTHZ_HTTP: Readonly<Record<string, FieldReader>> = {
  ...EXT_AUTHZ,
  pathPrefix: string,
  includeRequestHeadersInCheck: texts,
  includeHeadersInCheck: texts,
  includeAdditionalHeadersInCheck: textMap,
  headersToUpstreamOnAllow: texts,
  headersToDownstreamOnDeny: texts,
  headersToDownstreamOnAllow: texts,
}

const KINDS: Readonly<Record<string, FieldReader>> = {
  envoyExtAuthzHttp: fields(EXT_AUTHZ_HTTP),
  envoyExtAuthzGrpc: fields(EXT_AUTHZ),
}

/** One of `extensionProviders`. @throws CodedError MESH_CONFIG_INVALID, naming the field */
export function readExtensionProvider(value: unknown, field: string): ExtensionProvider {
  const { name, ...kinds } = object(value, field)
  const read = Object.entries(kinds).map(([kind, settings]) => [
    kind,
    (KINDS[kind] ?? other)(settings, `${field}.${kind}`),
  ])
  return { name: string(name, `${field}.name`), ...Object.fromEntries(read) }
}

const other: FieldReader = (value, field) => {
  const { port, ...rest } = object(value, field)
  if (rest.service !== undefined) string(rest.service, `${field}.service`)
  return { ...rest, ...(port !== undefined && { port: uint32(port, `${field}.port`) }) }
}
