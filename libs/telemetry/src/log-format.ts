import { LOG_VALUE_CHARACTERS_MAX } from './limits.ts'

/** A value that is written as it is, as ztunnel writes addresses; plain strings are quoted. */
export class Unquoted {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toJSON(): string {
    return this.text
  }
}

export function unquoted(text: string): Unquoted {
  return new Unquoted(text)
}

export type LogValue = string | number | bigint | boolean | Unquoted | undefined

/** Written in the order of the keys; undefined ones are left out. */
export type LogFields = Readonly<Record<string, LogValue>>

export interface LogRecord {
  readonly timeMs: number
  /** Lower case. */
  readonly level: string
  readonly target: string
  readonly message: string
  readonly fields?: LogFields | undefined
}

/** Turns a record into one line, newline included. */
export type LogFormat = (record: LogRecord) => string

/**
 * ztunnel's line: time, level, target, message, each followed by a tab, then `key=value` with spaces between.
 * A tab follows the message even when there are no fields. Strings have Rust's quotes and escapes.
 */
export const formatText: LogFormat = ({ timeMs, level, target, message, fields = {} }) => {
  let line = `${formatTime(timeMs)}\t${level}\t${target}\t${escapeControls(message)}\t`
  let separator = ''
  for (const key in fields) {
    const value = fields[key]
    if (value === undefined) continue
    line += `${separator}${key}=${formatValue(value)}`
    separator = ' '
  }
  return `${line}\n`
}

/** ztunnel's LOG_FORMAT=json: level, time, scope, message, then the fields, flat. */
export const formatJson: LogFormat = ({ timeMs, level, target, message, fields = {} }) => {
  const flat: Record<string, unknown> = { level, time: formatTime(timeMs), scope: target, message }
  for (const key in fields) {
    const value = fields[key]
    flat[key] = typeof value === 'bigint' ? Number(value) : value
  }
  return `${JSON.stringify(flat)}\n`
}

/** RFC 3339 in UTC with microseconds, which our clock does not have: the last three digits are zero. */
function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace('Z', '000Z')
}

function formatValue(value: Exclude<LogValue, undefined>): string {
  if (typeof value === 'string') return `"${escapeControls(cut(value).replace(/["\\]/g, '\\$&'))}"`
  return value instanceof Unquoted ? escapeControls(cut(value.text)) : String(value)
}

const ESCAPES: Readonly<Record<string, string>> = { '\0': '\\0', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** So that nobody writes a line of his own into our log. */
function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (control) => {
    return ESCAPES[control] ?? `\\u{${control.charCodeAt(0).toString(16)}}`
  })
}

function cut(text: string): string {
  return text.length <= LOG_VALUE_CHARACTERS_MAX ? text : `${text.slice(0, LOG_VALUE_CHARACTERS_MAX)}…`
}
