import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatHelp, parseConfig, SETTINGS } from './config.ts'
import { VERSION } from './version.ts'

const REQUIRED = ['--node', 'n1', '--state-dir', '/s', '--lab-dir', '/l']

test('flags, then environment, then defaults; frozen', () => {
  const config = parseConfig([...REQUIRED, '--drain-deadline', '1s'], {
    CONNECTION_TERMINATION_DEADLINE: '9s',
    SECRET_TTL: '1h',
    NODE_NAME: 'other',
  })
  expect(config).toMatchObject({
    node: 'n1',
    drainDeadlineMs: 1000,
    certificateTtlSeconds: 3600,
    host: '127.0.0.1',
    adminPort: 0,
    tokenFile: undefined,
    logFormat: 'text',
  })
  expect(Object.isFrozen(config)).toBe(true)
})

test('everything may come from the environment', () => {
  const environment = { NODE_NAME: 'n2', AMBIENT_AGENT_STATE_DIR: '/s', AMBIENT_LAB_DIR: '/l', AMBIENT_TOKEN_FILE: '-' }
  expect(parseConfig([], environment)).toMatchObject({ node: 'n2', stateDir: '/s', labDir: '/l', tokenFile: '-' })
})

describe('refuses, and names the culprit', () => {
  test.each([
    [[], {}, '--node is missing (or NODE_NAME)'],
    [['--node', 'N_1'], {}, '--node: "N_1" is not valid'],
    [[...REQUIRED, '--admin-port', '65536'], {}, '--admin-port: "65536"'],
    [[...REQUIRED, '--drain-deadline', '5'], {}, '--drain-deadline: "5"'],
    [REQUIRED, { SECRET_TTL: '1ms' }, 'SECRET_TTL: "1ms"'],
    [REQUIRED, { LOG_FORMAT: 'xml' }, 'LOG_FORMAT: "xml"'],
    [[...REQUIRED, '--nope'], {}, '--nope'],
    [[...REQUIRED, 'stray'], {}, 'stray'],
  ])('%j %j', (argv, environment, message) => {
    expect(() => parseConfig(argv, environment)).toThrow(expect.objectContaining({ code: 'USAGE' }))
    expect(() => parseConfig(argv, environment)).toThrow(message)
  })
})

test('help names every flag and its variable', () => {
  for (const { flag, environment } of Object.values(SETTINGS)) {
    expect(formatHelp()).toContain(`--${flag}`)
    expect(formatHelp()).toContain(environment)
  }
})

test('the version is the package’s', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  expect(VERSION).toBe(manifest.version)
})
