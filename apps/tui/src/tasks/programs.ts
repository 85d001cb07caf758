import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NODE_AGENT_FLAGS, type Programs } from '@ambient-lab/lab'
import { CodedError } from '@ambient-lab/std'

/**
 * The folder that holds apps/ and examples/, found upwards from this module: it is deeper in the sources than in the
 * bundle.
 */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'apps', 'tui', 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new CodedError('NO_INPUT', 'this installation is not complete: there is no apps/tui')
    folder = parent
  }
  return folder
}

/** Bookinfo, the lab that `up demo` brings up. */
export function demoFile(): string {
  return join(packageRoot(), 'examples', 'bookinfo', 'lab.yaml')
}

export function programs(): Programs {
  const main = (app: string) => join(packageRoot(), 'apps', app, 'dist', 'main.js')
  return {
    controlPlane: [process.execPath, main('control-plane')],
    nodeAgent: [process.execPath, ...NODE_AGENT_FLAGS, main('node-agent')],
  }
}

/** The command line of a lab's supervisor, which is this program. */
export function supervisorCommand(lab: string, nodes: readonly string[], port: number | undefined): string[] {
  const main = join(packageRoot(), 'apps', 'tui', 'dist', 'main.js')
  const command = [process.execPath, main, 'supervise', '--lab', lab, '--nodes', nodes.join(',')]
  return port === undefined ? command : [...command, '--port', String(port)]
}
