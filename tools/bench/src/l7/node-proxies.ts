import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { pinned } from '../l4/cores.ts'
import { freePort, listening } from '../l4/pair.ts'
import { type HttpPeer, processProxy } from './http-peer.ts'

const PROGRAM = fileURLToPath(new URL('./node-proxy-process.ts', import.meta.url))

/** What one would write in an afternoon: `node:http` in front of undici. */
export const nodeHttp: HttpPeer = nodeProxy('undici', 'node:http and undici')

/** What one would install. */
export const httpProxy3: HttpPeer = nodeProxy('http-proxy-3', 'http-proxy-3')

function nodeProxy(library: 'undici' | 'http-proxy-3', name: string): HttpPeer {
  return {
    name,
    version: versionOf(library),
    absence: '',
    async start({ backendPort, core }) {
      const port = await freePort()
      const args = ['--disable-warning=ExperimentalWarning', PROGRAM, library, String(port), String(backendPort)]
      const [command, flags] = pinned(core, process.execPath, args)
      const child = spawn(command, flags, { stdio: ['ignore', 'ignore', 'inherit'] })
      await listening(port, child)
      return processProxy({ port }, child)
    },
  }
}

function versionOf(library: string): string {
  const path = fileURLToPath(import.meta.resolve(`${library}/package.json`))
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}
