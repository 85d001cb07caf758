import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Pod } from '@ambient-lab/api'
import { ApiClient } from '@ambient-lab/lab'

export interface BenchLabInit {
  readonly name: string
  readonly nodes: readonly string[]
  /** Manifests that are applied when the nodes are there. */
  readonly world: string
  /** For every process of the lab. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A lab of real processes in a folder of its own, for as long as a bench takes. */
export class BenchLab implements AsyncDisposable {
  readonly #home = mkdtempSync(join(tmpdir(), 'ambient-bench-'))
  readonly #env: NodeJS.ProcessEnv
  #client: ApiClient | undefined

  private constructor(settings: BenchLabInit['settings']) {
    this.#env = { ...process.env, ...settings, AMBIENT_HOME: this.#home }
  }

  /** Up, with every pod of `namespace` ready. */
  static async start({ name, nodes, world, settings }: BenchLabInit, namespace: string): Promise<BenchLab> {
    const lab = new BenchLab(settings)
    try {
      writeFileSync(
        join(lab.#home, 'lab.yaml'),
        `apiVersion: ambient.lab/v1
kind: Lab
metadata: { name: ${name} }
spec:
  nodes: [${nodes.map((node) => `{ name: ${node} }`).join(', ')}]
  apply: [world.yaml]
`,
      )
      writeFileSync(join(lab.#home, 'world.yaml'), world)
      await lab.ambient('up', join(lab.#home, 'lab.yaml'), '--wait', '-q')
      await lab.ambient('wait', 'pods', '--all', '-n', namespace, '--for=condition=Ready', '-q')
      return lab
    } catch (error) {
      await lab[Symbol.asyncDispose]()
      throw error
    }
  }

  get client(): ApiClient {
    const labs = join(this.#home, 'labs')
    this.#client ??= ApiClient.fromKubeconfig(join(labs, readdirSync(labs)[0]!, 'kubeconfig'))
    return this.#client
  }

  /** Runs a command to its end, and answers what it printed. */
  async ambient(...args: string[]): Promise<string> {
    const child = spawn('npx', ['ambient', ...args], { env: this.#env, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`ambient ${args.join(' ')}: exit ${code}`)
    return output
  }

  /** Where programs of a pod knock to enter the mesh. */
  async capture(namespace: string, pod: string): Promise<{ readonly host: string; readonly port: number }> {
    const { items } = await this.client.list<Pod>(PODS, { namespace })
    return items.find(({ metadata }) => metadata.name === pod)!.status!.ambientLab!.capture!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.[Symbol.dispose]()
    await this.ambient('down', '-q')
    rmSync(this.#home, { recursive: true, force: true })
  }
}

export const PODS = { group: '', version: 'v1', resource: 'pods' }
