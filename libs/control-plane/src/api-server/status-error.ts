import type { FieldError } from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'

/** metav1.Status of a failure. */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: Readonly<Record<string, never>>
  readonly status: 'Failure'
  readonly message: string
  readonly reason: string
  readonly details?: StatusDetails
  readonly code: number
}

export interface StatusDetails {
  readonly name?: string
  readonly group?: string
  /** The plural of the path for most errors, the kind for validation errors: as Kubernetes has it. */
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[]
  readonly retryAfterSeconds?: number
}

/** A refusal with the HTTP status, reason and words that Kubernetes clients know. */
export class StatusError extends CodedError {
  readonly status: number
  readonly details: StatusDetails | undefined

  constructor(status: number, reason: string, message: string, details?: StatusDetails) {
    super(reason, message, { origin: 'downstream' })
    this.name = 'StatusError'
    this.status = status
    this.details = details
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.code,
      ...(this.details && { details: this.details }),
      code: this.status,
    }
  }
}

/** A resource type as messages name it: `pods`, `deployments.apps`. */
export interface NamedResource {
  readonly group: string
  /** Plural. */
  readonly resource: string
}

export function qualifiedName({ group, resource }: NamedResource): string {
  return group === '' ? resource : `${resource}.${group}`
}

function detailsOf({ group, resource }: NamedResource, name: string): StatusDetails {
  return { name, ...(group !== '' && { group }), kind: resource }
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message)
}

export function unauthorized(): StatusError {
  return new StatusError(401, 'Unauthorized', 'Unauthorized')
}

/** `why` is the text behind the colon: `User "x" cannot list resource "pods" in API group "" …`. */
export function forbidden(resource: NamedResource, name: string, why: string): StatusError {
  const subject = name === '' ? qualifiedName(resource) : `${qualifiedName(resource)} "${name}"`
  return new StatusError(403, 'Forbidden', `${subject} is forbidden: ${why}`, detailsOf(resource, name))
}

export function notFound(resource: NamedResource, name: string): StatusError {
  const message = `${qualifiedName(resource)} "${name}" not found`
  return new StatusError(404, 'NotFound', message, detailsOf(resource, name))
}

/** The path, group or type itself is unknown. */
export function unknownPath(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {})
}

export function methodNotAllowed(): StatusError {
  return new StatusError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {})
}

export function notAcceptable(accepted: readonly string[]): StatusError {
  const message = `only the following media types are accepted: ${accepted.join(', ')}`
  return new StatusError(406, 'NotAcceptable', message)
}

export function alreadyExists(resource: NamedResource, name: string): StatusError {
  const message = `${qualifiedName(resource)} "${name}" already exists`
  return new StatusError(409, 'AlreadyExists', message, detailsOf(resource, name))
}

export function conflict(resource: NamedResource, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualifiedName(resource)} "${name}": ${why}`
  return new StatusError(409, 'Conflict', message, detailsOf(resource, name))
}

/** Someone wrote between the caller's read and this write. */
export function modifiedMeanwhile(resource: NamedResource, name: string): StatusError {
  const why = 'the object has been modified; please apply your changes to the latest version and try again'
  return conflict(resource, name, why)
}

/** A list or watch from a revision that is no longer remembered: clients list again. */
export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message)
}

export function bodyTooLarge(limitBytes: number): StatusError {
  return new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limitBytes}`)
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
  return new StatusError(415, 'UnsupportedMediaType', message)
}

/** All findings in one answer, as kube-apiserver writes them. `name` is empty when none was given. */
export function invalid(of: { group: string; kind: string }, name: string, errors: readonly FieldError[]): StatusError {
  const texts = errors.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`
  const qualified = of.group === '' ? of.kind : `${of.kind}.${of.group}`
  return new StatusError(422, 'Invalid', `${qualified} "${name}" is invalid: ${list}`, {
    name,
    ...(of.group !== '' && { group: of.group }),
    kind: of.kind,
    causes: errors.map(({ path, message }) => ({ reason: causeReason(message), message, field: path })),
  })
}

const CAUSE_REASONS: readonly [RegExp, string][] = [
  [/^Required value/, 'FieldValueRequired'],
  [/^Duplicate value/, 'FieldValueDuplicate'],
  [/^Unsupported value/, 'FieldValueNotSupported'],
  [/^Forbidden/, 'FieldValueForbidden'],
  [/^Not found/, 'FieldValueNotFound'],
  [/^Too long/, 'FieldValueTooLong'],
]

function causeReason(message: string): string {
  return CAUSE_REASONS.find(([pattern]) => pattern.test(message))?.[1] ?? 'FieldValueInvalid'
}

export function tooManyRequests(message: string, retryAfterSeconds: number): StatusError {
  return new StatusError(429, 'TooManyRequests', message, { retryAfterSeconds })
}

export function internalError(message: string): StatusError {
  const text = `Internal error occurred: ${message}`
  return new StatusError(500, 'InternalError', text, { causes: [{ message }] })
}

/** The disk refuses: no fault of the request, and no bug of ours (RFC 4918 §11.5). */
export function notStored(message: string): StatusError {
  return new StatusError(507, 'InsufficientStorage', message)
}

/** A revision that this store has not reached: the caller talks to another store than before. */
export function revisionTooLarge(asked: number, current: number): StatusError {
  return new StatusError(504, 'Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}
