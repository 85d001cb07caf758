import type { AssignedContainer, AssignedVolume } from '@ambient-lab/xds'

/** A file that a container sees, as it travels between threads. */
export interface MountedFile {
  /** Absolute. */
  readonly path: string
  readonly content: string
  readonly encoding: 'utf8' | 'base64'
}

type Volumes = Readonly<Record<string, AssignedVolume>>

/**
 * What a container's mounts show of its pod's volumes. As in Kubernetes a mount with a `subPath` stays what it was when
 * the container started.
 */
export function mountedFiles(
  { mounts = [] }: Pick<AssignedContainer, 'mounts'>,
  volumes: Volumes,
  volumesAtStart: Volumes = volumes,
): MountedFile[] {
  return mounts.flatMap(({ volume, mountPath, subPath }) => {
    const root = mountPath.replace(/\/+$/, '')
    const { files = [] } = (subPath === undefined ? volumes : volumesAtStart)[volume] ?? {}
    return files.flatMap(({ path, ...file }) => {
      if (subPath === undefined) return { ...file, path: `${root}/${path}` }
      if (path === subPath) return { ...file, path: root }
      return path.startsWith(`${subPath}/`) ? { ...file, path: root + path.slice(subPath.length) } : []
    })
  })
}

/** The files of ConfigMaps that an app sees; they change while it runs. */
export class ContainerFiles {
  readonly #listeners = new Set<() => void>()
  #files: readonly MountedFile[]

  constructor(files: readonly MountedFile[] = []) {
    this.#files = files
  }

  read(path: string): Buffer | undefined {
    const found = this.#files.find((file) => file.path === path)
    return found && contentOf(found)
  }

  /** Every file below a folder by its path from there, sorted; empty where nothing is mounted. */
  below(folder: string): ReadonlyMap<string, Buffer> {
    const prefix = `${folder.replace(/\/+$/, '')}/`
    const found = this.#files
      .filter(({ path }) => path.startsWith(prefix))
      .map((file) => [file.path.slice(prefix.length), contentOf(file)] as const)
    return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Calls whenever a file came, went or is another one, for as long as the container lives. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  replace(files: readonly MountedFile[]): void {
    if (JSON.stringify(files) === JSON.stringify(this.#files)) return
    this.#files = files
    for (const listener of this.#listeners) listener()
  }
}

function contentOf({ content, encoding }: MountedFile): Buffer {
  return Buffer.from(content, encoding)
}
