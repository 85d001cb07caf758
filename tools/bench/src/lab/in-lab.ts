import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Resource } from '@ambient-lab/api'
import { ApiClient } from '@ambient-lab/lab'
import { type ProcessRecord, readProcessRecords } from '@ambient-lab/std'
import { cpuSeconds } from '../l4/process-usage.ts'

type Type = Parameters<ApiClient['create']>[0]

/** Requests to the API at once while much is written. */
const WRITES_AT_ONCE = 128

/** A lab of its own, as a person would start one, for as long as a bench runs. */
export class BenchLab {
  readonly client: ApiClient
  readonly #folder: string
  readonly #env: NodeJS.ProcessEnv

  constructor(init: { readonly client: ApiClient; readonly folder: string; readonly env: NodeJS.ProcessEnv }) {
    this.client = init.client
    this.#folder = init.folder
    this.#env = init.env
  }

  /** Runs the command. @throws Error for an exit that is not 0 */
  ambient(...args: string[]): Promise<void> {
    return ambient(this.#env, args)
  }

  processes(role: 'control-plane' | 'node-agent'): ProcessRecord[] {
    return readProcessRecords(join(this.#folder, 'processes')).filter((record) => record.role === role)
  }

  /** Processor seconds so far: what work costs also on a machine that others use. */
  usage(): { readonly plane: number; readonly agents: number } {
    const of = (role: 'control-plane' | 'node-agent') =>
      this.processes(role).reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
    return { plane: of('control-plane'), agents: of('node-agent') }
  }

  /** Creates objects, in order as far as they are not under way together. */
  async createAll(writes: readonly (readonly [Type, Resource])[]): Promise<void> {
    let next = 0
    const work = async () => {
      while (next < writes.length) {
        const [type, object] = writes[next++]!
        await this.client.create(type, object)
      }
    }
    await Promise.all(Array.from({ length: WRITES_AT_ONCE }, work))
  }
}

/** @param world manifests that the lab applies when it comes up, all of one namespace whose pods are waited for */
export async function inLab<T>(
  { name, nodes, namespace, world }: { name: string; nodes: readonly string[]; namespace: string; world: string },
  run: (lab: BenchLab) => Promise<T>,
): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), 'ambient-bench-'))
  const env = { ...process.env, AMBIENT_HOME: home }
  const spec = `nodes: [${nodes.map((node) => `{ name: ${node} }`).join(', ')}], apply: [world.yaml]`
  writeFileSync(
    join(home, 'lab.yaml'),
    `apiVersion: ambient.lab/v1\nkind: Lab\nmetadata: { name: ${name} }\nspec: { ${spec} }\n`,
  )
  writeFileSync(join(home, 'world.yaml'), world)
  try {
    await ambient(env, ['up', join(home, 'lab.yaml'), '--wait', '-q'])
    await ambient(env, ['wait', 'pods', '--all', '-n', namespace, '--for=condition=Ready', '-q'])
    const folder = join(home, 'labs', readdirSync(join(home, 'labs'))[0]!)
    using client = ApiClient.fromKubeconfig(join(folder, 'kubeconfig'))
    return await run(new BenchLab({ client, folder, env }))
  } finally {
    await ambient(env, ['down', '-q'])
    rmSync(home, { recursive: true, force: true })
  }
}

async function ambient(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<void> {
  const child = spawn('npx', ['ambient', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`ambient ${args.join(' ')}: exit ${code}`)
}
