import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The paths of one lab that its control plane reads and writes. */
export class LabFiles {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  get kubeconfig(): string {
    return join(this.folder, 'kubeconfig')
  }

  get labJson(): string {
    return join(this.folder, 'lab.json')
  }

  get processes(): string {
    return join(this.folder, 'processes')
  }

  get store(): string {
    return join(this.folder, 'control-plane', 'store.sqlite')
  }

  get authority(): string {
    return join(this.folder, 'control-plane', 'ca')
  }

  /** Where the API listened last: agents look for it there. */
  get address(): string {
    return join(this.folder, 'control-plane', 'address.json')
  }

  /** Makes the folders, for their owner only. */
  create(): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    mkdirSync(join(this.folder, 'control-plane'), { recursive: true, mode: 0o700 })
  }

  /** 0 when there is none, or none that can be read. */
  rememberedPort(): number {
    const { port } = readJson(this.address)
    return typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0
  }

  rememberPort(port: number): void {
    if (this.rememberedPort() !== port) writeWhole(this.address, `${JSON.stringify({ port })}\n`)
  }

  /** Keeps the time at which the lab was created. */
  writeLab(lab: { readonly name: string; readonly api: string; readonly version: string; readonly now: string }): void {
    const { createdAt } = readJson(this.labJson)
    const { now, ...rest } = lab
    const content = { ...rest, createdAt: typeof createdAt === 'string' ? createdAt : now }
    writeWhole(this.labJson, `${JSON.stringify(content, null, 2)}\n`)
  }

  writeKubeconfig(text: string): void {
    writeWhole(this.kubeconfig, text)
  }
}

function readJson(path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {} // not there yet, or cut short by a full disk: written anew
  }
}

/** Whole or not at all, and for its owner only from the first byte. */
function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.${process.pid}`, text, { mode: 0o600 })
  renameSync(`${path}.${process.pid}`, path)
}
