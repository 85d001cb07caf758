import { parseArgs } from 'node:util'
import { CodedError, parseDuration } from '@ambient-lab/std'

/** What one agent is told at its start; nothing of it changes afterwards. */
export interface AgentConfig {
  /** Name of the simulated node. */
  readonly node: string
  /** Folder of this agent's key, certificate and join.json. */
  readonly stateDir: string
  /** Folder of the lab, for process records. */
  readonly labDir: string
  /** File of the join token, `-` for stdin; absent: join.json must be there. */
  readonly tokenFile: string | undefined
  /** Where HBONE and underlay listen: what other nodes must reach. */
  readonly host: string
  /** Where workloads, their capture and the admin servers listen. Loopback, unless somebody knows better. */
  readonly workloadHost: string
  /** Revocation lists to follow, as ztunnel's CRL_PATH. */
  readonly crlPath: string | undefined
  /** Where spans of connections are sent to; absent: none are made. */
  readonly traceEndpoint: string | undefined
  /** Of the connections that begin on this node. */
  readonly traceSamplingPercent: number
  readonly hbonePort: number
  readonly underlayPort: number
  readonly adminPort: number
  readonly metricsPort: number
  readonly readyPort: number
  /** Milliseconds that open connections get after SIGTERM. */
  readonly drainDeadlineMs: number
  /** Lifetime that is asked for workload certificates, seconds. */
  readonly certificateTtlSeconds: number
  /** `error`, `warn`, `info`, `debug`; scopes as in `access:debug,info`. */
  readonly logLevel: string
  readonly logFormat: 'text' | 'json'
}

interface Setting<T> {
  readonly flag: string
  /** Istio's name where it has one, so that known habits work. */
  readonly environment: string
  /** As text, exactly as one would write the flag; absent: required, or optional where `optional` says so. */
  readonly default?: string
  readonly optional?: boolean
  readonly help: string
  readonly parse: (text: string) => T | undefined
}

type Settings = { readonly [K in keyof AgentConfig]: Setting<Exclude<AgentConfig[K], undefined>> }

const text = (value: string) => (value === '' ? undefined : value)
const httpUrl = (value: string) => (URL.canParse(value) && new URL(value).protocol === 'http:' ? value : undefined)
const percent = (value: string) => (/^\d+(\.\d+)?$/.test(value) && Number(value) <= 100 ? Number(value) : undefined)
const port = (value: string) => (/^\d{1,5}$/.test(value) && Number(value) < 65536 ? Number(value) : undefined)
const nodeName = (value: string) => (/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/.test(value) ? value : undefined)
const seconds = (value: string) => {
  const durationMs = parseDuration(value)
  return durationMs === undefined || durationMs < 1000 ? undefined : Math.round(durationMs / 1000)
}

/** Every setting, once. Order: flag, environment, default. */
export const SETTINGS: Settings = {
  node: { flag: 'node', environment: 'NODE_NAME', help: 'name of the node (required)', parse: nodeName },
  stateDir: {
    flag: 'state-dir',
    environment: 'AMBIENT_AGENT_STATE_DIR',
    help: 'folder for key, certificate and join.json (required)',
    parse: text,
  },
  labDir: { flag: 'lab-dir', environment: 'AMBIENT_LAB_DIR', help: 'folder of the lab (required)', parse: text },
  tokenFile: {
    flag: 'token-file',
    environment: 'AMBIENT_TOKEN_FILE',
    optional: true,
    help: 'file with the join token, - for stdin; not needed after the first join',
    parse: text,
  },
  host: {
    flag: 'host',
    environment: 'AMBIENT_HOST',
    default: '127.0.0.1',
    help: 'address of the tunnel listeners, reachable from other nodes',
    parse: text,
  },
  workloadHost: {
    flag: 'workload-host',
    environment: 'AMBIENT_WORKLOAD_HOST',
    default: '127.0.0.1',
    help: 'address where workloads and their capture listen',
    parse: text,
  },
  crlPath: {
    flag: 'crl-path',
    environment: 'CRL_PATH',
    optional: true,
    help: 'file with revocation lists (PEM) of the mesh’s authority; followed while the agent runs',
    parse: text,
  },
  traceEndpoint: {
    flag: 'trace-endpoint',
    environment: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    optional: true,
    help: 'OTLP/HTTP collector (http://host:4318/v1/traces) that gets spans of connections',
    parse: httpUrl,
  },
  traceSamplingPercent: {
    flag: 'trace-sampling',
    environment: 'AMBIENT_TRACE_SAMPLING',
    default: '100',
    help: 'percent of the connections that get spans, where there is a collector',
    parse: percent,
  },
  hbonePort: {
    flag: 'hbone-port',
    environment: 'AMBIENT_HBONE_PORT',
    default: '0',
    help: 'port of the HBONE listener, 0 chooses',
    parse: port,
  },
  underlayPort: {
    flag: 'underlay-port',
    environment: 'AMBIENT_UNDERLAY_PORT',
    default: '0',
    help: 'port of the plaintext listener, 0 chooses',
    parse: port,
  },
  adminPort: {
    flag: 'admin-port',
    environment: 'ADMIN_PORT',
    default: '0',
    help: 'port with the semantics of 15000, 0 chooses',
    parse: port,
  },
  metricsPort: {
    flag: 'metrics-port',
    environment: 'STATS_PORT',
    default: '0',
    help: 'port with the semantics of 15020, 0 chooses',
    parse: port,
  },
  readyPort: {
    flag: 'ready-port',
    environment: 'READINESS_PORT',
    default: '0',
    help: 'port with the semantics of 15021, 0 chooses',
    parse: port,
  },
  drainDeadlineMs: {
    flag: 'drain-deadline',
    environment: 'CONNECTION_TERMINATION_DEADLINE',
    default: '5s',
    help: 'what open connections get after SIGTERM',
    parse: parseDuration,
  },
  certificateTtlSeconds: {
    flag: 'secret-ttl',
    environment: 'SECRET_TTL',
    default: '24h',
    help: 'lifetime of workload certificates',
    parse: seconds,
  },
  logLevel: {
    flag: 'log-level',
    environment: 'AMBIENT_LOG',
    default: 'info',
    help: 'error, warn, info, debug; by scope as in access:debug,info',
    parse: text,
  },
  logFormat: {
    flag: 'log-format',
    environment: 'LOG_FORMAT',
    default: 'text',
    help: 'text or json',
    parse: (value) => (value === 'text' || value === 'json' ? value : undefined),
  },
}

/**
 * Pure: arguments and environment in, frozen settings out.
 * @throws CodedError USAGE naming the setting, its source and what was expected
 */
export function parseConfig(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): AgentConfig {
  const flags = parseFlags(argv)
  const config: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries(SETTINGS) as [string, Setting<unknown>][]) {
    config[key] = resolveSetting(setting, flags, environment)
  }
  return Object.freeze(config) as unknown as AgentConfig
}

function resolveSetting(
  setting: Setting<unknown>,
  flags: Readonly<Record<string, string | undefined>>,
  environment: Readonly<Record<string, string | undefined>>,
): unknown {
  const fromFlag = flags[setting.flag]
  const value = fromFlag ?? environment[setting.environment] ?? setting.default
  if (value === undefined) {
    if (setting.optional) return undefined
    throw usage(`--${setting.flag} is missing (or ${setting.environment}): ${setting.help}`)
  }
  const parsed = setting.parse(value)
  if (parsed !== undefined) return parsed
  const origin = fromFlag === undefined ? setting.environment : `--${setting.flag}`
  throw usage(`${origin}: "${value}" is not valid: ${setting.help}`)
}

function parseFlags(argv: readonly string[]): Readonly<Record<string, string | undefined>> {
  const options = Object.fromEntries(
    Object.values(SETTINGS).map(({ flag }) => [flag, { type: 'string' as const }] as const),
  )
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause))
  }
}

/** `--help`: one line a setting. */
export function formatHelp(): string {
  const lines = Object.values(SETTINGS).map(({ flag, environment, default: preset, help }) => {
    const origin = preset === undefined ? environment : `${environment}, default ${preset}`
    return `  --${flag.padEnd(16)}${help} [${origin}]`
  })
  return ['node-agent: one simulated node of an ambient lab', '', ...lines, ''].join('\n')
}

function usage(message: string): CodedError {
  return new CodedError('USAGE', message, { next: 'node-agent --help' })
}
