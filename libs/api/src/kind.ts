import type { Resource } from './resource.ts'

/** JSON Schema of the OpenAPI v3 kind that CustomResourceDefinitions use. */
export interface JsonSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly default?: unknown
  readonly nullable?: boolean
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
  /** `set`: no item twice; `map`: no two items alike in all of `x-kubernetes-list-map-keys`. */
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map'
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  /** Rules across the fields of this value; published with their messages only. */
  readonly 'x-kubernetes-validations'?: readonly SchemaRule[]
}

/** What CustomResourceDefinitions say in CEL. It is asked only about a value whose own fields are well formed. */
export interface SchemaRule {
  /** What is wrong when it does not hold. */
  readonly message: string
  /** Pure. Gets the value without its nulls, with or without its defaults. */
  holds(value: unknown): boolean
}

/** One column of `get`, for our command and for kubectl alike (server-side Table). */
export interface Column<R extends Resource = Resource> {
  readonly title: string
  /** OpenAPI type that kubectl and k9s sort by. @default 'string' */
  readonly type?: 'string' | 'integer' | 'number' | 'date'
  /** Shown only with `-o wide`. */
  readonly wide?: boolean
  readonly description?: string
  /** Pure; `nowMs` for ages. */
  value(object: R, nowMs: number): string | number
}

export interface KindDefinition<R extends Resource = Resource> {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  /** Other versions under which the same object is served, converted by renaming only. */
  readonly otherVersions?: readonly string[]
  readonly kind: string
  /** Plural, lower case, as in API paths. */
  readonly plural: string
  /** @default kind in lower case */
  readonly singular?: string
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
  readonly scope: 'Namespaced' | 'Cluster'
  /** Of the whole object less apiVersion, kind and metadata. */
  readonly schema: JsonSchema
  /** Whether `status` is written through its own subresource. @default true */
  readonly statusSubresource?: boolean
  /** Objects computed on request and never stored: Connection, Edge. */
  readonly virtual?: boolean
  /** NAME comes first and AGE last by themselves; wide columns follow AGE, as kubectl has it. */
  readonly columns: readonly Column<R>[]
  /** The columns are all there is: no NAME, no AGE (Event, Connection, Edge). @default false */
  readonly bareColumns?: boolean
  /** Fills in what the schema's `default` cannot say because it depends on other fields. Pure; runs after those. */
  withDefaults?(object: R): R
  /** Findings beyond the schema: what is wrong, and at which JSON path. Empty: none. */
  validate?(object: R): readonly FieldError[]
}

export interface FieldError {
  /** `spec.ports[0].port` */
  readonly path: string
  readonly message: string
}

/** Declares a resource kind; the file that default-exports it in `kinds/` is its registration. */
export function defineKind<R extends Resource = Resource>(definition: KindDefinition<R>): KindDefinition<R> {
  return definition
}
