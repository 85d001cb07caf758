import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { pinned } from '../l4/cores.ts'
import { freePort, listening } from '../l4/pair.ts'
import { type HttpPeer, processProxy } from './http-peer.ts'

const PROGRAM = fileURLToPath(new URL('../../../../libs/dataplane/bench/http-proxy.ts', import.meta.url))

/** Our chain between two plain sockets: with nothing but a route, or with policy, metrics and an access log. */
export function waypoint(features: 'plain' | 'full'): HttpPeer {
  return {
    name: features === 'plain' ? 'waypoint, routes only' : 'waypoint',
    version: 'this tree',
    absence: '',
    async start({ backendPort, core }) {
      const port = await freePort()
      const flags = ['--conditions=@ambient-lab/source', '--disable-warning=ExperimentalWarning']
      const [command, args] = pinned(core, process.execPath, [
        ...flags,
        PROGRAM,
        String(port),
        String(backendPort),
        features,
      ])
      const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      await listening(port, child)
      return processProxy(port, child)
    },
  }
}
