import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GroupVersionResource, Resource } from '@ambient-lab/api'
import { ApiClient } from '@ambient-lab/lab'
import { type ProcessRecord, readProcessRecords } from '@ambient-lab/std'
import { AmbientLab, type AmbientLabInit } from '@ambient-lab/testing/mesh'
import { cpuSeconds } from '../l4/process-usage.ts'

/** Requests to the API at once while much is written. */
const WRITES_AT_ONCE = 128

export type TypedObject = readonly [type: GroupVersionResource, object: Resource]

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
  createAll(objects: readonly TypedObject[]): Promise<void> {
    return eachAtOnce(objects, ([type, object]) => this.client.create(type, object))
  }

  /** Deletes objects, many at once. */
  deleteAll(objects: readonly TypedObject[]): Promise<void> {
    return eachAtOnce(objects, ([type, { metadata }]) => this.client.delete(type, metadata))
  }

  /** A file in the lab's folder. @returns its path */
  writeFile(name: string, text: string): string {
    const path = join(this.#lab.home, name)
    writeFileSync(path, text)
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]()
    await this.#lab[Symbol.asyncDispose]()
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
