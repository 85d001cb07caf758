import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder of one test, removed with all that is in it at the end of its scope. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

/** `await using folder = await temporaryFolder()`; mode 0700. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'ambient-lab-test-')))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  }
}
