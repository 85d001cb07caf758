import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { AGENT, AMBIENT, AmbientLab, CONTROL_PLANE } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { items } from './objects.ts'

describe('with a lab', () => {
  let lab: AmbientLab

  beforeAll(async () => {
    lab = new AmbientLab()
    await lab.ok('up', 'demo', '--wait')
  })

  afterAll(() => lab[Symbol.asyncDispose]())

  function file(name: string, text: string): string {
    const path = join(lab.home, name)
    writeFileSync(path, text)
    return path
  }

  const service = (name: string, port: string) =>
    `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n  ports:\n    - port: ${port}\n`

  test('YAML that does not parse: file, line and column, exit 65, nothing applied', async () => {
    const path = file('broken.yaml', `${service('good', '80')}---\napiVersion: v1\nkind: [\n`)
    const { code, stderr } = await lab.run(['apply', '-f', path])
    expect(code).toBe(65)
    expect(stderr).toMatch(/broken\.yaml:\d+:\d+/)
    expect((await items(lab, 'services')).map(({ metadata }) => metadata.name)).not.toContain('good')
  })

  test('a field of the wrong kind: its place, exit 65, nothing applied of the whole input', async () => {
    const path = file('wrong.yaml', `${service('fine', '80')}---\n${service('bad', 'eighty')}`)
    const { code, stderr } = await lab.run(['apply', '-f', path])
    expect(code).toBe(65)
    expect(stderr).toMatch(/wrong\.yaml:\d+:\d+/)
    expect((await items(lab, 'services')).map(({ metadata }) => metadata.name)).not.toContain('fine')
  })

  test('an unknown kind is passed over with a warning that says where', async () => {
    const path = file('unknown.yaml', 'apiVersion: example.com/v1\nkind: Teapot\nmetadata: {name: short}\n')
    const { stderr } = await lab.run(['apply', '-f', path])
    expect(stderr).toMatch(/Teapot/)
    expect(stderr).toMatch(/unknown\.yaml:\d+/)
  })

  test.each([
    [['apply', '-f', '/nowhere/at.yaml'], 66, /at\.yaml/],
    [['get', 'teapots'], 64, /teapots/],
    [['get', 'pod/nope'], 2, /nope/],
    [['gett', 'pods'], 64, /get/],
    [['fault', 'add', 'link.delay', 'n1', 'n2', '--delay', '120ms'], 64, /--for/],
    [['fault', 'add', 'link.delay', 'n1', 'n9', '--delay', '120ms', '--for', '1m'], 2, /n9/],
    [['load', 'run', 'http://productpage:9080/', '--from', 'deploy/curl', '--rate', '20'], 64, /20\/s|per second|unit/],
    [['exec', 'deploy/nope', '--', 'true'], 2, /nope/],
  ])('%j ends with %i and says what', async (args, code, words) => {
    const outcome = await lab.run(args)
    expect(outcome.stderr).toMatch(words)
    expect(outcome.code).toBe(code)
  })

  test('a join token is good for one agent, once, as its node', async () => {
    const token = file('n9.token', await lab.ok('node', 'token', 'n9'))
    const startAgent = (node: string, state: string) => {
      const folders = ['--state-dir', join(lab.home, state), '--lab-dir', lab.folder]
      return spawn(process.execPath, [AGENT, '--node', node, '--token-file', token, ...folders], { stdio: 'pipe' })
    }
    const first = startAgent('n9', 'first')
    await once(createInterface(first.stdout), 'line')
    first.kill()
    await once(first, 'close')
    for (const [node, why] of [
      ['n9', 'was used before'],
      ['n8', 'is for node n9, not for n8'],
    ] as const) {
      const refused = startAgent(node, `second-${node}`)
      const [said, [code]] = await Promise.all([text(refused.stderr), once(refused, 'close')])
      expect(said).toContain(why)
      expect(code).toBe(77)
    }
    await lab.ok('node', 'remove', 'n9')
  })

  test.skipIf(!existsSync('/dev/full'))('an answer that the disk has no room for: exit 74', async () => {
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, [AMBIENT, 'get', 'nodes'], { env: lab.env, stdio: ['ignore', full, 'pipe'] })
    const [said, [code]] = await Promise.all([text(child.stderr!), once(child, 'close')])
    closeSync(full)
    expect(said).toContain('cannot be written: ENOSPC')
    expect(code).toBe(74)
  })

  test("exec passes the program's own code through", async () => {
    expect((await lab.run(['exec', 'deploy/curl', '--', 'sh', '-c', 'exit 7'])).code).toBe(7)
  })
})

describe('without a lab', () => {
  test.each([[['get', 'pods']], [['apply', '-f', '-']], [['down']], [['tui', '--once']]])(
    '%j: exit 69 and the command that starts one',
    async (args) => {
      await using lab = new AmbientLab()
      const { code, stderr } = await lab.run(args, { input: 'apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n' })
      expect(stderr).toContain('ambient up')
      expect(code).toBe(69)
    },
  )

  test('a taken port: its owner is named, exit 73', async () => {
    await using lab = new AmbientLab()
    const holder = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => holder.once('listening', resolve))
    const { port } = holder.address() as { port: number }
    const { code, stderr } = await lab.run(['up', '--port', String(port)])
    holder.close()
    expect(stderr).toContain(String(process.pid))
    expect(code).toBe(73)
  })

  test.skipIf(!existsSync('/dev/full'))(
    'a log that the disk has no room for does not end the control plane',
    async () => {
      await using lab = new AmbientLab()
      const full = openSync('/dev/full', 'w')
      const child = spawn(process.execPath, [CONTROL_PLANE, '--lab', 'full', '--state-dir', lab.home], {
        stdio: ['ignore', 'pipe', full],
      })
      closeSync(full)
      try {
        const [line] = (await once(createInterface(child.stdout!), 'line')) as [string]
        const { api } = JSON.parse(line) as { api: string }
        // What it wrote at its start is lost by now; nobody may ask anonymously, but an answer there is.
        for (let times = 0; times < 3; times++) expect(await statusOf(`${api}/api/v1/nodes`)).toBe(403)
      } finally {
        child.kill()
      }
      expect((await once(child, 'close'))[0]).toBe(0)
    },
  )
})

function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { rejectUnauthorized: false }, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end()
  })
}
