import { describe, expect, it } from 'vitest'
import { parseConfig, SETTINGS, usage } from './config.ts'

const REQUIRED = ['--lab', 'demo', '--state-dir', '/tmp/demo']

describe('settings of a control plane', () => {
  it('have defaults', () => {
    expect(parseConfig(REQUIRED, {})).toEqual({
      ...{ lab: 'demo', stateDir: '/tmp/demo', host: '127.0.0.1', port: 0, trustDomain: 'cluster.local' },
      ...{ dryRunAtZtunnel: false, logLevel: 'info', logFormat: 'text' },
    })
  })

  it('come from the flag before the environment', () => {
    const environment = { AMBIENT_API_PORT: '1000', AMBIENT_LAB: 'other' }
    expect(parseConfig([...REQUIRED, '--port', '2000'], environment)).toMatchObject({ port: 2000, lab: 'demo' })
    expect(parseConfig(REQUIRED, environment)).toMatchObject({ port: 1000 })
    const istiods = { AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY: 'true' }
    expect(parseConfig(REQUIRED, istiods)).toMatchObject({ dryRunAtZtunnel: true })
  })

  it.each([
    [[], '--lab is missing'],
    [['--lab', 'demo'], '--state-dir is missing'],
    [[...REQUIRED, '--port', '65536'], '--port "65536" is no port of the API'],
    [[...REQUIRED, '--lab', 'Not A Name'], '--lab "Not A Name" is no name of the lab'],
    [[...REQUIRED, '--log-format', 'xml'], '--log-format "xml" is no text or json'],
    [[...REQUIRED, '--dry-run-at-ztunnel', '1'], '--dry-run-at-ztunnel "1" is no true or false'],
    [[...REQUIRED, '--sesame', 'x'], "Unknown option '--sesame'"],
  ])('refuse %j', (argv, message) => {
    expect(() => parseConfig(argv, {})).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message) }),
    )
  })

  it('are all in the usage', () => {
    for (const { flag, environment } of Object.values(SETTINGS)) {
      expect(usage()).toContain(`--${flag}`)
      expect(usage()).toContain(environment)
    }
  })
})
