import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { assert } from '@ambient-lab/std'
import type { AssignedVolume } from '@ambient-lab/xds'

/**
 * A pod's volumes as real files, for programs: a folder for each, in one that only this user can read and that goes with
 * the pod. A file is replaced whole, so that nobody reads half of it.
 */
export class VolumeFolder implements Disposable {
  readonly #root: string

  constructor(parent: string, volumes: Readonly<Record<string, AssignedVolume>>) {
    mkdirSync(parent, { recursive: true })
    this.#root = mkdtempSync(join(parent, 'pod-'))
    this.write(volumes)
  }

  pathOf(volume: string): string {
    return join(this.#root, volume)
  }

  write(volumes: Readonly<Record<string, AssignedVolume>>): void {
    for (const [volume, { files }] of Object.entries(volumes)) {
      const folder = this.pathOf(volume)
      mkdirSync(folder, { recursive: true })
      const kept = new Set(files.map(({ path }) => join(folder, path)))
      for (const path of filesBelow(folder)) if (!kept.has(path)) rmSync(path)
      for (const { path, content, encoding } of files) replaceFile(join(folder, path), folder, content, encoding)
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true, force: true })
  }
}

function replaceFile(path: string, folder: string, content: string, encoding: BufferEncoding): void {
  assert(path.startsWith(`${folder}/`), 'the control plane hands out paths below the mount only')
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, Buffer.from(content, encoding))
  renameSync(`${path}.new`, path)
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? join(entry.parentPath, entry.name) : [],
  )
}
