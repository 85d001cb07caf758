import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GroupVersionResource, Pod, Resource } from '@ambient-lab/api'
import { ApiClient } from '@ambient-lab/lab'
import { type ProcessRecord, readProcessRecords } from '@ambient-lab/std'
import { cpuSeconds } from '../l4/process-usage.ts'

/** The command itself: npx takes a third of a second to find it. */
const AMBIENT = join(import.meta.dirname, '../../../../apps/tui/bin/ambient.js')

/** Requests to the API at once while much is written. */
const WRITES_AT_ONCE = 128

export interface BenchLabInit {
  readonly name: string
  readonly nodes: readonly string[]
  /** Manifests that are applied when the nodes are there. */
  readonly world: string
  /** For every process of the lab. */
  readonly settings?: Readonly<Record<string, string>>
}

export type TypedObject = readonly [type: GroupVersionResource, object: Resource]

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
    this.#client ??= ApiClient.fromKubeconfig(join(this.#folder, 'kubeconfig'))
    return this.#client
  }

  get #folder(): string {
    const labs = join(this.#home, 'labs')
    return join(labs, readdirSync(labs)[0]!)
  }

  /** Runs a command to its end, and answers what it printed. */
  async ambient(...args: string[]): Promise<string> {
    const child = spawn(process.execPath, [AMBIENT, ...args], { env: this.#env, stdio: ['ignore', 'pipe', 'inherit'] })
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

  /** As they are recorded now. */
  processes(role: 'control-plane' | 'node-agent'): ProcessRecord[] {
    return readProcessRecords(join(this.#folder, 'processes')).filter((record) => record.role === role)
  }

  /** Processor seconds so far: what work costs also on a machine that others use. */
  usage(): { readonly plane: number; readonly agents: number } {
    const of = (role: 'control-plane' | 'node-agent') =>
      this.processes(role).reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
    return { plane: of('control-plane'), agents: of('node-agent') }
  }

  /** Creates objects, many at once. */
  createAll(objects: readonly TypedObject[]): Promise<void> {
    return eachAtOnce(objects, ([type, object]) => this.client.create(type, object))
  }

  /** Deletes objects, many at once. */
  deleteAll(objects: readonly TypedObject[]): Promise<void> {
    return eachAtOnce(objects, ([type, { metadata }]) => this.client.delete(type, metadata))
  }

  /** A file in the lab's folder. @returns its path */
  writeFile(name: string, text: string): string {
    const path = join(this.#home, name)
    writeFileSync(path, text)
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.[Symbol.dispose]()
    await this.ambient('down', '-q')
    rmSync(this.#home, { recursive: true, force: true })
  }
}

async function eachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0
  const one = async () => {
    while (next < items.length) await work(items[next++]!)
  }
  await Promise.all(Array.from({ length: WRITES_AT_ONCE }, one))
}

export const PODS = { group: '', version: 'v1', resource: 'pods' }
