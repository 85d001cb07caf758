import { CodedError } from '@ambient-lab/std'
import type { LabErrorCode } from '../errors.ts'

/** metav1.Status, the body of every refusal. */
export interface Status {
  readonly kind?: string
  readonly status?: string
  readonly message?: string
  readonly reason?: string
  readonly code?: number
  readonly details?: {
    readonly name?: string
    readonly kind?: string
    readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[]
  }
}

const CODE_BY_REASON: Readonly<Record<string, LabErrorCode>> = {
  NotFound: 'NOT_FOUND',
  AlreadyExists: 'ALREADY_EXISTS',
  Conflict: 'CONFLICT',
  Invalid: 'INVALID',
  BadRequest: 'BAD_REQUEST',
  MethodNotAllowed: 'METHOD_NOT_ALLOWED',
  Unauthorized: 'UNAUTHORIZED',
  Forbidden: 'FORBIDDEN',
  Gone: 'GONE',
  Expired: 'GONE',
  ServiceUnavailable: 'UNAVAILABLE',
  Timeout: 'TIMEOUT',
  ServerTimeout: 'TIMEOUT',
  TooManyRequests: 'TIMEOUT',
}

const CODE_BY_HTTP: Readonly<Record<number, LabErrorCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  409: 'CONFLICT',
  410: 'GONE',
  422: 'INVALID',
  429: 'TIMEOUT',
  503: 'UNAVAILABLE',
  504: 'TIMEOUT',
  507: 'STORAGE_FAILED',
}

/** A refusal of the API, with the Status it came with. */
export class ApiError extends CodedError {
  readonly status: Status

  constructor(code: LabErrorCode, status: Status, next?: string) {
    super(code, status.message ?? code, next === undefined ? { origin: 'upstream' } : { origin: 'upstream', next })
    this.status = status
  }
}

/** The error that an answer of 400 or more stands for; also of bodies that are no Status. */
export function statusError(httpStatus: number, body: string): ApiError {
  const status = parseStatus(body) ?? {
    message: `HTTP ${httpStatus}${body ? `: ${body.slice(0, 200)}` : ''}`,
    code: httpStatus,
  }
  return new ApiError(CODE_BY_REASON[status.reason ?? ''] ?? CODE_BY_HTTP[httpStatus] ?? 'API_ERROR', status)
}

function parseStatus(body: string): Status | undefined {
  try {
    const value = JSON.parse(body) as Status
    return value.kind === 'Status' ? value : undefined
  } catch {
    return undefined
  }
}
