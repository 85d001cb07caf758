import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { NODE_AGENT_FLAGS } from '@ambient-lab/lab'
import { pinned } from '../l4/cores.ts'
import { freePort, listening } from '../l4/pair.ts'
import { type HttpPeer, processProxy } from './http-peer.ts'
import { TOKEN_ISSUER, TOKEN_KEYS } from './token.ts'

const PROGRAM = fileURLToPath(new URL('../../../../libs/dataplane/bench/http-proxy.ts', import.meta.url))

const NAMES = { plain: 'waypoint, routes only', full: 'waypoint', jwt: 'waypoint, with a token' } as const

/** Our chain between two plain sockets: with nothing but routes; with policy, metrics and an access log; with a token too. */
export function waypoint(features: keyof typeof NAMES): HttpPeer {
  return {
    name: NAMES[features],
    version: 'this tree',
    absence: '',
    async start({ backendPort, grpcPort, core }) {
      const port = await freePort()
      const [command, args] = pinned(core, process.execPath, [
        ...['--conditions=@ambient-lab/source', '--disable-warning=ExperimentalWarning', ...NODE_AGENT_FLAGS, PROGRAM],
        ...[port, backendPort, grpcPort].map(String),
        ...[features, TOKEN_ISSUER, TOKEN_KEYS],
      ])
      const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      await listening(port, child)
      return processProxy({ port }, child)
    },
  }
}
