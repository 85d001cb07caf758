import { type Clock, CodedError } from '@ambient-lab/std'
import { LOG_SCOPES_MAX } from './limits.ts'
import { formatJson, formatText, type LogFields, type LogFormat } from './log-format.ts'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace'

/** Takes whole lines, newline included. */
export type LogSink = (line: string) => void

/** `off` and the levels, from the quietest; the index is the threshold. */
const LEVELS = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const
const SCOPE = /^[A-Za-z_][A-Za-z0-9_:.-]*$/

type Threshold = (typeof LEVELS)[number]

/** One scope's door to the log. Cheap to ask, so that fields are not built for lines that nobody wants. */
export class Logger {
  readonly target: string
  readonly #logging: LogCore
  #threshold: number

  constructor(logging: LogCore, target: string) {
    this.#logging = logging
    this.target = target
    this.#threshold = logging.thresholdOf(target)
  }

  enabled(level: LogLevel): boolean {
    return LEVELS.indexOf(level) <= this.#threshold
  }

  log(level: LogLevel, message: string, fields?: LogFields): void {
    if (this.enabled(level)) this.#logging.write(level, this.target, message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.log('error', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.log('warn', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.log('info', message, fields)
  }

  debug(message: string, fields?: LogFields): void {
    this.log('debug', message, fields)
  }

  trace(message: string, fields?: LogFields): void {
    this.log('trace', message, fields)
  }

  /** Called by Logging when levels change. */
  refresh(): void {
    this.#threshold = this.#logging.thresholdOf(this.target)
  }
}

/** What a Logger needs of the Logging that made it. */
interface LogCore {
  thresholdOf(target: string): number
  write(level: LogLevel, target: string, message: string, fields: LogFields | undefined): void
}

/**
 * The log of one process: a level for everything and exceptions by scope, changeable while it runs as with ztunnel's
 * `/logging?level=`. A scope covers its children: `tunnel` is also `tunnel::pool`; the longest name wins.
 */
export class Logging implements LogCore {
  readonly #clock: Pick<Clock, 'now'>
  readonly #sink: LogSink
  readonly #format: LogFormat
  readonly #initial: string
  readonly #loggers = new Map<string, Logger>()
  #base: Threshold = 'info'
  #scopes: ReadonlyMap<string, Threshold> = new Map()

  /** @throws CodedError LOG_LEVEL_INVALID */
  constructor({
    components,
    init = {},
  }: {
    readonly components: { readonly clock: Pick<Clock, 'now'>; readonly sink: LogSink }
    readonly init?: {
      /** @default 'info' */
      readonly levels?: string
      /** @default 'text' */
      readonly format?: 'text' | 'json'
    }
  }) {
    this.#clock = components.clock
    this.#sink = components.sink
    this.#format = init.format === 'json' ? formatJson : formatText
    this.#initial = init.levels ?? 'info'
    this.setLevels(this.#initial)
  }

  /** The logger of a scope; the same one for the same name. Scopes are names in our code, never input. */
  logger(target: string): Logger {
    let logger = this.#loggers.get(target)
    if (!logger) {
      logger = new Logger(this, target)
      this.#loggers.set(target, logger)
    }
    return logger
  }

  /** `tunnel=debug,info`: exceptions first, as tracing's filter prints itself. */
  get levels(): string {
    return [...[...this.#scopes].map(([scope, level]) => `${scope}=${level}`), this.#base].join(',')
  }

  /**
   * Adds to what is set: `debug` sets everything, `tunnel:debug,xds:trace` (or with `=`) sets scopes, and both may be
   * mixed. A level for everything drops the exceptions, as in ztunnel.
   * @throws CodedError LOG_LEVEL_INVALID, and nothing has changed
   */
  setLevels(specification: string): void {
    let base = this.#base
    const scopes = new Map(this.#scopes)
    const parts = specification.split(',').map((part) => part.trim())
    const everything = parts.filter((part) => !/[:=]/.test(part))
    if (everything.length > 1) throw invalid(specification)
    for (const part of everything) {
      base = parseLevel(part)
      scopes.clear()
    }
    for (const part of parts.filter((part) => !everything.includes(part))) {
      const [, scope = '', level = ''] = /^(.*)[:=](.*)$/.exec(part) ?? []
      if (!SCOPE.test(scope)) throw invalid(part)
      scopes.set(scope, parseLevel(level))
    }
    if (scopes.size > LOG_SCOPES_MAX) throw invalid(`more than ${LOG_SCOPES_MAX} scopes`)
    this.#base = base
    this.#scopes = scopes
    for (const logger of this.#loggers.values()) logger.refresh()
  }

  /** Back to what the process was started with. */
  reset(): void {
    this.#base = 'info'
    this.#scopes = new Map()
    this.setLevels(this.#initial)
  }

  thresholdOf(target: string): number {
    let best = ''
    for (const scope of this.#scopes.keys()) {
      const covers = target === scope || target.startsWith(`${scope}::`)
      if (covers && scope.length > best.length) best = scope
    }
    return LEVELS.indexOf(this.#scopes.get(best) ?? this.#base)
  }

  write(level: LogLevel, target: string, message: string, fields: LogFields | undefined): void {
    this.#sink(this.#format({ timeMs: this.#clock.now(), level, target, message, fields }))
  }
}

/** A logger that writes nothing, for tests and for parts that were given none. */
export function silentLogger(target = 'silent'): Logger {
  return new Logger({ thresholdOf: () => 0, write: () => {} }, target)
}

function parseLevel(text: string): Threshold {
  const level = LEVELS.find((candidate) => candidate === text.toLowerCase())
  if (!level) throw invalid(text)
  return level
}

function invalid(text: string): CodedError {
  return new CodedError('LOG_LEVEL_INVALID', `level ${text} is invalid`, {
    next: `levels are ${LEVELS.join(', ')}; one scope: tunnel:debug`,
  })
}
