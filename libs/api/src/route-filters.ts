import {
  BACKEND_OBJECT_REF,
  type BackendObjectReference,
  HEADER_NAME,
  HEADER_VALUE,
  LOCAL_OBJECT_REF,
  type LocalObjectReference,
  PRECISE_HOSTNAME,
} from './gateway-api.ts'
import type { JsonSchema } from './kind.ts'
import { array, boolean, integer, object, oneOf, PORT, string, withRules } from './schema.ts'

export interface HeaderValue {
  readonly name: string
  readonly value: string
}

/** The order of effect is: set, add, remove. Names match in any case. */
export interface HeaderModifier {
  readonly set?: readonly HeaderValue[]
  readonly add?: readonly HeaderValue[]
  readonly remove?: readonly string[]
}

export interface RequestMirror {
  readonly backendRef: BackendObjectReference
  /** Neither this nor `fraction`: all. */
  readonly percent?: number
  readonly fraction?: { readonly numerator: number; readonly denominator?: number }
}

export interface PathModifier {
  readonly type: 'ReplaceFullPath' | 'ReplacePrefixMatch'
  readonly replaceFullPath?: string
  /** Replaces what the rule's one PathPrefix match matched. */
  readonly replacePrefixMatch?: string
}

export interface RequestRedirect {
  readonly scheme?: 'http' | 'https'
  readonly hostname?: string
  readonly path?: PathModifier
  readonly port?: number
  /** @default 302 */
  readonly statusCode?: number
}

export interface UrlRewrite {
  readonly hostname?: string
  readonly path?: PathModifier
}

export interface Cors {
  readonly allowOrigins?: readonly string[]
  readonly allowMethods?: readonly string[]
  readonly allowHeaders?: readonly string[]
  readonly exposeHeaders?: readonly string[]
  readonly allowCredentials?: boolean
  /** Seconds. @default 5 */
  readonly maxAge?: number
}

export interface ExternalAuth {
  readonly protocol: 'HTTP' | 'GRPC'
  readonly backendRef: BackendObjectReference
  readonly grpc?: { readonly allowedHeaders?: readonly string[] }
  readonly http?: {
    readonly path?: string
    readonly allowedHeaders?: readonly string[]
    readonly allowedResponseHeaders?: readonly string[]
  }
  readonly forwardBody?: { readonly maxSize?: number }
}

/** One step on the way of a request or its response; the field that `type` names is set, no other. */
export interface RouteFilter<Type extends string = string> {
  readonly type: Type
  readonly requestHeaderModifier?: HeaderModifier
  readonly responseHeaderModifier?: HeaderModifier
  readonly requestMirror?: RequestMirror
  readonly extensionRef?: LocalObjectReference
}

export interface HttpRouteFilter
  extends RouteFilter<
    | 'RequestHeaderModifier'
    | 'ResponseHeaderModifier'
    | 'RequestMirror'
    | 'RequestRedirect'
    | 'URLRewrite'
    | 'ExtensionRef'
    | 'CORS'
    | 'ExternalAuth'
  > {
  readonly requestRedirect?: RequestRedirect
  readonly urlRewrite?: UrlRewrite
  readonly cors?: Cors
  readonly externalAuth?: ExternalAuth
}

export type GrpcRouteFilter = RouteFilter<
  'RequestHeaderModifier' | 'ResponseHeaderModifier' | 'RequestMirror' | 'ExtensionRef'
>

const HEADERS = array(object({ name: HEADER_NAME, value: HEADER_VALUE }, { required: ['name', 'value'] }), {
  maxItems: 16,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['name'],
})

const set = (items: JsonSchema, maxItems: number) => array(items, { maxItems, 'x-kubernetes-list-type': 'set' })

const HEADER_MODIFIER = object({ add: HEADERS, remove: set(string(), 16), set: HEADERS })

const FRACTION = withRules<NonNullable<RequestMirror['fraction']>>(
  object(
    { denominator: integer({ minimum: 1, default: 100 }), numerator: integer({ minimum: 0 }) },
    { required: ['numerator'] },
  ),
  {
    'numerator must be less than or equal to denominator': ({ numerator, denominator = 100 }) =>
      numerator <= denominator,
  },
)

const REQUEST_MIRROR = withRules<RequestMirror>(
  object(
    { backendRef: BACKEND_OBJECT_REF, fraction: FRACTION, percent: integer({ minimum: 0, maximum: 100 }) },
    { required: ['backendRef'] },
  ),
  {
    'Only one of percent or fraction may be specified in HTTPRequestMirrorFilter': ({ percent, fraction }) =>
      percent === undefined || fraction === undefined,
  },
)

const PATH_MODIFIER = withRules<PathModifier>(
  object(
    {
      replaceFullPath: string({ maxLength: 1024 }),
      replacePrefixMatch: string({ maxLength: 1024 }),
      type: oneOf('ReplaceFullPath', 'ReplacePrefixMatch'),
    },
    { required: ['type'] },
  ),
  {
    "replaceFullPath must be specified when type is set to 'ReplaceFullPath'": ({ type, replaceFullPath }) =>
      type !== 'ReplaceFullPath' || replaceFullPath !== undefined,
    "type must be 'ReplaceFullPath' when replaceFullPath is set": ({ type, replaceFullPath }) =>
      type === 'ReplaceFullPath' || replaceFullPath === undefined,
    "replacePrefixMatch must be specified when type is set to 'ReplacePrefixMatch'": ({ type, replacePrefixMatch }) =>
      type !== 'ReplacePrefixMatch' || replacePrefixMatch !== undefined,
    "type must be 'ReplacePrefixMatch' when replacePrefixMatch is set": ({ type, replacePrefixMatch }) =>
      type === 'ReplacePrefixMatch' || replacePrefixMatch === undefined,
  },
)

const REQUEST_REDIRECT = object({
  hostname: PRECISE_HOSTNAME,
  path: PATH_MODIFIER,
  port: PORT,
  scheme: oneOf('http', 'https'),
  statusCode: integer({ enum: [301, 302, 303, 307, 308], default: 302 }),
})

/** A set in which `*` stands alone or not at all. */
function setOrStar(items: JsonSchema, maxItems: number, field: string, others: string): JsonSchema {
  return withRules<readonly string[]>(set(items, maxItems), {
    [`${field} cannot contain '*' alongside other ${others}`]: (values) => values.length < 2 || !values.includes('*'),
  })
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const
export const HTTP_METHOD = oneOf(...METHODS)

const ORIGIN = string({
  minLength: 1,
  maxLength: 253,
  pattern: '(^\\*$)|(^(http(s)?):\\/\\/(((\\*\\.)?([a-zA-Z0-9\\-]+\\.)*[a-zA-Z0-9-]+|\\*)(:([0-9]{1,5}))?)$)',
})

const CORS = object({
  allowCredentials: boolean(),
  allowHeaders: setOrStar(HEADER_NAME, 64, 'AllowHeaders', 'methods'),
  allowMethods: setOrStar(oneOf(...METHODS, '*'), 9, 'AllowMethods', 'methods'),
  allowOrigins: setOrStar(ORIGIN, 64, 'AllowOrigins', 'origins'),
  exposeHeaders: set(HEADER_NAME, 64),
  maxAge: integer({ minimum: 1, default: 5 }),
})

const HEADER_SET = set(string(), 64)

const EXTERNAL_AUTH = withRules<ExternalAuth>(
  object(
    {
      backendRef: BACKEND_OBJECT_REF,
      forwardBody: object({ maxSize: integer({ minimum: 0 }) }),
      grpc: object({ allowedHeaders: HEADER_SET }),
      http: object({
        allowedHeaders: HEADER_SET,
        allowedResponseHeaders: HEADER_SET,
        path: string({ maxLength: 1024, pattern: "^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$" }),
      }),
      protocol: oneOf('HTTP', 'GRPC'),
    },
    { required: ['backendRef', 'protocol'] },
  ),
  {
    "grpc must be specified when protocol is set to 'GRPC'": ({ protocol, grpc }) => protocol !== 'GRPC' || !!grpc,
    "protocol must be 'GRPC' when grpc is set": ({ protocol, grpc }) => protocol === 'GRPC' || !grpc,
    "http must be specified when protocol is set to 'HTTP'": ({ protocol, http }) => protocol !== 'HTTP' || !!http,
    "protocol must be 'HTTP' when http is set": ({ protocol, http }) => protocol === 'HTTP' || !http,
  },
)

/** Filter type → its field and the field's schema; a union whose discriminator is `type`. */
type Union = Readonly<Record<string, readonly [field: string, schema: JsonSchema]>>

const SHARED: Union = {
  RequestHeaderModifier: ['requestHeaderModifier', HEADER_MODIFIER],
  ResponseHeaderModifier: ['responseHeaderModifier', HEADER_MODIFIER],
  RequestMirror: ['requestMirror', REQUEST_MIRROR],
  ExtensionRef: ['extensionRef', LOCAL_OBJECT_REF],
}

const HTTP: Union = {
  ...SHARED,
  RequestRedirect: ['requestRedirect', REQUEST_REDIRECT],
  URLRewrite: ['urlRewrite', object({ hostname: PRECISE_HOSTNAME, path: PATH_MODIFIER })],
  CORS: ['cors', CORS],
  ExternalAuth: ['externalAuth', EXTERNAL_AUTH],
}

function filter(union: Union): JsonSchema {
  const members = Object.entries(union)
  const fields = Object.fromEntries(members.map(([, [field, schema]]) => [field, schema]))
  const rules = members.flatMap(([type, [field]]) => {
    type Filter = RouteFilter & Readonly<Record<string, unknown>>
    return [
      [
        `filter.${field} must be nil if the filter.type is not ${type}`,
        (filter: Filter) => filter.type === type || filter[field] === undefined,
      ],
      [
        `filter.${field} must be specified for ${type} filter.type`,
        (filter: Filter) => filter.type !== type || filter[field] !== undefined,
      ],
    ] as const
  })
  const schema = object({ type: oneOf(...Object.keys(union)), ...fields }, { required: ['type'] })
  return withRules(schema, Object.fromEntries(rules))
}

function filters(union: Union, ...single: readonly string[]): JsonSchema {
  const once = single.map((type) => [
    `${type} filter cannot be repeated`,
    (all: readonly RouteFilter[]) => all.filter((filter) => filter.type === type).length <= 1,
  ])
  return withRules(array(filter(union), { maxItems: 16 }), Object.fromEntries(once))
}

export const GRPC_FILTERS = filters(SHARED, 'RequestHeaderModifier', 'ResponseHeaderModifier')

export const HTTP_FILTERS = withRules<readonly HttpRouteFilter[]>(
  filters(HTTP, 'CORS', 'RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite'),
  {
    'May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both': (all) =>
      !all.some(({ type }) => type === 'RequestRedirect') || !all.some(({ type }) => type === 'URLRewrite'),
  },
)
