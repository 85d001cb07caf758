import { join } from 'node:path'
import type { GroupVersionResource, Resource } from '@ambient-lab/api'
import { ApiClient } from '@ambient-lab/lab'
import { type ProcessRecord, readProcessRecords } from '@ambient-lab/std'
import { AmbientLab, type AmbientLabInit } from '@ambient-lab/testing/mesh'
import { cpuSeconds } from '../l4/process-usage.ts'

/** Requests to the API at once while much is written. */
const WRITES_AT_ONCE = 128

/** A lab of real processes in a folder of its own, for as long as a bench takes. */
export class BenchLab implements AsyncDisposable {
  readonly #lab: AmbientLab
  readonly client: ApiClient

  private constructor(lab: AmbientLab) {
    this.#lab = lab
    this.client = ApiClient.fromKubeconfig(join(lab.folder, 'kubeconfig'))
  }

  /** Up, with every pod of the named namespaces ready. */
  static async start(init: AmbientLabInit): Promise<BenchLab> {
    return new BenchLab(await AmbientLab.start(init))
  }

  /** Runs a command to its end, and answers what it printed. */
  ambient(...args: string[]): Promise<string> {
    return this.#lab.ok(...args)
  }

  /** Where programs of a pod knock to enter the mesh. */
  capture(namespace: string, pod: string): Promise<{ readonly host: string; readonly port: number }> {
    return this.#lab.capture(namespace, pod)
  }

  /** As they are recorded now. */
  processes(role: 'control-plane' | 'node-agent'): ProcessRecord[] {
    return readProcessRecords(join(this.#lab.folder, 'processes')).filter((record) => record.role === role)
  }

  /** Processor seconds so far: what work costs also on a machine that others use. */
  usage(): { readonly plane: number; readonly agents: number } {
    const of = (role: 'control-plane' | 'node-agent') =>
      this.processes(role).reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
    return { plane: of('control-plane'), agents: of('node-agent') }
  }

  /** Creates objects, many at once. */
  async createAll(objects: readonly (readonly [type: GroupVersionResource, object: Resource])[]): Promise<void> {
    let next = 0
    const work = async () => {
      while (next < objects.length) {
        const [type, object] = objects[next++]!
        await this.client.create(type, object)
      }
    }
    await Promise.all(Array.from({ length: WRITES_AT_ONCE }, work))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]()
    await this.#lab[Symbol.asyncDispose]()
  }
}

export const PODS = { group: '', version: 'v1', resource: 'pods' }
