import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { CodedError } from '@ambient-lab/std'

/** What one control plane is told at its start; nothing of it changes afterwards. */
export interface ControlPlaneConfig {
  /** Name of the lab. */
  readonly lab: string
  /** Folder of the lab: kubeconfig, lab.json, processes, and our own `control-plane/`. Absolute. */
  readonly stateDir: string
  /** Where the API listens. */
  readonly host: string
  /** 0: the port of the last time, or any free one. */
  readonly port: number
  readonly trustDomain: string
  /** Ztunnels log what policies in dry run would deny. */
  readonly dryRunAtZtunnel: boolean
  /** `error`, `warn`, `info`, `debug`; scopes as in `discovery:debug,info`. */
  readonly logLevel: string
  readonly logFormat: 'text' | 'json'
}

interface Setting<T> {
  readonly flag: string
  readonly environment: string
  /** As one would write the flag; absent: required. */
  readonly default?: string
  readonly help: string
  /** Undefined: not a value of this setting. */
  readonly parse: (text: string) => T | undefined
}

const port = (text: string) => (/^\d{1,5}$/.test(text) && Number(text) < 65_536 ? Number(text) : undefined)
const labName = (text: string) => (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text) ? text : undefined)
const domain = (text: string) => (/^[a-z0-9]([-a-z0-9.]{0,252}[a-z0-9])?$/.test(text) ? text : undefined)
const nonEmpty = (text: string) => text || undefined

/** Every setting, once. Order: flag, environment, default. */
export const SETTINGS: { readonly [K in keyof ControlPlaneConfig]: Setting<ControlPlaneConfig[K]> } = {
  lab: { flag: 'lab', environment: 'AMBIENT_LAB', help: 'name of the lab (required)', parse: labName },
  stateDir: {
    flag: 'state-dir',
    environment: 'AMBIENT_STATE_DIR',
    help: 'folder of the lab (required)',
    parse: (text) => (text ? resolve(text) : undefined),
  },
  host: {
    flag: 'host',
    environment: 'AMBIENT_API_HOST',
    default: '127.0.0.1',
    help: 'address that the API listens on; 0.0.0.0 for nodes on other machines',
    parse: nonEmpty,
  },
  port: {
    flag: 'port',
    environment: 'AMBIENT_API_PORT',
    default: '0',
    help: 'port of the API; 0 takes that of the last time, or a free one',
    parse: port,
  },
  trustDomain: {
    flag: 'trust-domain',
    environment: 'AMBIENT_TRUST_DOMAIN',
    default: 'cluster.local',
    help: 'trust domain of all identities',
    parse: domain,
  },
  dryRunAtZtunnel: {
    flag: 'dry-run-at-ztunnel',
    // istiod's own name for it.
    environment: 'AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY',
    default: 'false',
    help: 'true or false: ztunnels log what policies in dry run would deny',
    parse: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
  },
  logLevel: {
    flag: 'log-level',
    environment: 'AMBIENT_LOG',
    default: 'info',
    help: 'error, warn, info, debug; by scope as in discovery:debug,info',
    parse: nonEmpty,
  },
  logFormat: {
    flag: 'log-format',
    environment: 'LOG_FORMAT',
    default: 'text',
    help: 'text or json',
    parse: (text) => (text === 'text' || text === 'json' ? text : undefined),
  },
}

/**
 * Pure but for `resolve`: arguments and environment in, frozen settings out.
 * @throws CodedError USAGE naming the setting and where its value came from
 */
export function parseConfig(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ControlPlaneConfig {
  const flags = parseFlags(argv)
  const entries = Object.entries(SETTINGS).map(([key, setting]) => [key, settle(setting, flags, environment)])
  return Object.freeze(Object.fromEntries(entries)) as ControlPlaneConfig
}

export function usage(): string {
  const lines = Object.values(SETTINGS).map((setting) => {
    const { flag, environment, help } = setting
    const preset = setting.default === undefined ? '' : ` [${setting.default}]`
    return `  --${flag.padEnd(14)}${environment.padEnd(21)} ${help}${preset}`
  })
  return `usage: control-plane --lab NAME --state-dir FOLDER [settings]\n\n${lines.join('\n')}\n`
}

function parseFlags(argv: readonly string[]): Readonly<Record<string, string | undefined>> {
  const options = Object.fromEntries(Object.values(SETTINGS).map(({ flag }) => [flag, { type: 'string' as const }]))
  try {
    return parseArgs({ args: [...argv], options, strict: true }).values as Record<string, string | undefined>
  } catch (cause) {
    throw new CodedError('USAGE', (cause as Error).message, { cause, next: 'control-plane --help' })
  }
}

function settle(
  setting: Setting<unknown>,
  flags: Readonly<Record<string, string | undefined>>,
  environment: Readonly<Record<string, string | undefined>>,
): unknown {
  const { flag, environment: variable } = setting
  const [text, source] =
    flags[flag] !== undefined
      ? [flags[flag], `--${flag}`]
      : environment[variable] !== undefined
        ? [environment[variable], variable]
        : [setting.default, 'default']
  if (text === undefined) throw new CodedError('USAGE', `--${flag} is missing`, { next: 'control-plane --help' })
  const value = setting.parse(text)
  if (value === undefined) {
    throw new CodedError('USAGE', `${source} "${text}" is no ${setting.help.replace(/ \(.*$/, '')}`, {
      next: 'control-plane --help',
    })
  }
  return value
}
