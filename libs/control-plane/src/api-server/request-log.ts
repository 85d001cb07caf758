import type { User } from './authentication.ts'

/** One answered request. */
export interface RequestLogEntry {
  readonly method: string
  /** Path and query as they came, cut at 512 characters. */
  readonly url: string
  readonly status: number
  /** From the head's arrival to the end of the answer. */
  readonly durationMs: number
  readonly user: User
  /** `kubectl/v1.32.4 (linux/amd64) …`; empty when the client says none. */
  readonly userAgent: string
  /** Why it was refused, or what broke. */
  readonly error?: string
}

/** `GET /api/v1/pods 200 1.3ms ambient-admin kubectl/v1.32.4` */
export function formatRequestLine(entry: RequestLogEntry): string {
  const agent = entry.userAgent.split(' ', 1)[0] || '-'
  const error = entry.error === undefined ? '' : ` ${JSON.stringify(entry.error)}`
  const durationText = `${entry.durationMs.toFixed(1)}ms`
  return `${entry.method} ${entry.url} ${entry.status} ${durationText} ${entry.user.name} ${agent}${error}`
}
