import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))
export const AMBIENT = join(ROOT, 'apps/tui/bin/ambient.js')
export const AGENT = join(ROOT, 'apps/node-agent/dist/main.js')
export const CONTROL_PLANE = join(ROOT, 'apps/control-plane/dist/main.js')

export interface AmbientLabInit {
  readonly name: string
  /** By name, or as a lab file has them. */
  readonly nodes: readonly (string | { readonly name: string; readonly labels: Readonly<Record<string, string>> })[]
  /** Manifests that are applied when the nodes are there. */
  readonly world: string
  /** Whose pods are waited for. */
  readonly readyNamespaces: readonly string[]
  /** Variables for every process of the lab. */
  readonly settings?: NodeJS.ProcessEnv
}

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * One lab in a folder of its own, driven as a person drives it: through the `ambient` command and nothing else.
 * Disposing it ends every process that it started.
 */
export class AmbientLab implements AsyncDisposable {
  readonly home = mkdtempSync(join(tmpdir(), 'ambient-test-'))
  readonly #children = new Set<ChildProcess>()
  readonly #settings: NodeJS.ProcessEnv

  /** @param settings variables for every process of the lab */
  constructor(settings: NodeJS.ProcessEnv = {}) {
    this.#settings = settings
  }

  /** Up, with its world in it. */
  static async start({ name, nodes, world, readyNamespaces, settings }: AmbientLabInit): Promise<AmbientLab> {
    const lab = new AmbientLab(settings)
    const file = join(lab.home, 'lab.yaml')
    const spec = {
      nodes: nodes.map((node) => (typeof node === 'string' ? { name: node } : node)),
      apply: ['world.yaml'],
    }
    writeFileSync(file, JSON.stringify({ apiVersion: 'ambient.lab/v1', kind: 'Lab', metadata: { name }, spec }))
    writeFileSync(join(lab.home, 'world.yaml'), world)
    try {
      await lab.ok('up', file, '--wait')
      for (const namespace of readyNamespaces)
        await lab.ok('wait', 'pods', '--all', '-n', namespace, '--for=condition=Ready', '--timeout', '30s')
      return lab
    } catch (error) {
      await lab[Symbol.asyncDispose]()
      throw error
    }
  }

  get env(): NodeJS.ProcessEnv {
    // The test runner forces colour on its children; of both wishes at once Node complains on stderr.
    const { FORCE_COLOR: _, ...own } = process.env
    return { ...own, ...this.#settings, AMBIENT_HOME: this.home, NO_COLOR: '1' }
  }

  /** The lab's own folder; every test here has one lab a home. */
  get folder(): string {
    const labs = join(this.home, 'labs')
    return join(labs, readdirSync(labs)[0]!)
  }

  /** What one process of the lab wrote. */
  log(name: string): string {
    return readFileSync(join(this.folder, 'logs', `${name}.log`), 'utf8')
  }

  /** Runs a command to its end. */
  run(args: readonly string[], options: { readonly input?: string | Uint8Array } = {}): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const child = this.spawn(args)
      let stdout = ''
      let stderr = ''
      child.stdout!.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
      })
      child.stderr!.setEncoding('utf8').on('data', (text: string) => {
        stderr += text
      })
      child.on('error', reject)
      child.on('close', (code, signal) => resolve({ code: code ?? (signal ? 128 : 1), stdout, stderr }))
      child.stdin!.on('error', () => {}) // the command may end before it read all of it
      child.stdin!.end(options.input ?? '')
    })
  }

  /** Runs a command that must succeed, and answers what it printed. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args)
    if (code !== 0) throw new Error(`ambient ${args.join(' ')}: exit ${code}\n${stderr}${stdout}`)
    return stdout
  }

  /** The JSON document that a command prints. */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '-o', 'json')) as T
  }

  /** Where programs of a pod knock to enter the mesh. */
  async capture(namespace: string, pod: string): Promise<{ readonly host: string; readonly port: number }> {
    type Captured = { readonly status: { readonly ambientLab: { readonly capture: { host: string; port: number } } } }
    const { status } = await this.json<Captured>('get', 'pod', pod, '-n', namespace)
    return status.ambientLab.capture
  }

  /** Starts a command and leaves it running. */
  spawn(args: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [AMBIENT, ...args], { cwd: ROOT, env: this.env, stdio: 'pipe' })
    this.#children.add(child)
    child.on('close', () => this.#children.delete(child))
    return child
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    await this.run(['down'])
    await this.run(['lab', 'clean'])
    rmSync(this.home, { recursive: true, force: true })
  }
}
