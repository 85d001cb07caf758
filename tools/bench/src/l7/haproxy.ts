import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { pinned } from '../l4/cores.ts'
import { haproxy as pair } from '../l4/haproxy.ts'
import { freePort, listening } from '../l4/pair.ts'
import { GRPC_PATH, type HttpPeer, processProxy } from './http-peer.ts'

/** HAProxy in HTTP mode with one thread, and nothing else. */
export const haproxy: HttpPeer = {
  name: 'haproxy, plain proxy',
  version: pair.version,
  absence: pair.absence,
  async start({ folder, backendPort, grpcPort, core }) {
    const port = await freePort()
    const http2Port = await freePort()
    const path = `${folder}/haproxy-http.cfg`
    writeFileSync(
      path,
      `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend proxy
  bind 127.0.0.1:${port}
  bind 127.0.0.1:${http2Port} proto h2
  use_backend grpc if { path_beg ${GRPC_PATH} }
  default_backend http
backend http
  server backend 127.0.0.1:${backendPort}
backend grpc
  server backend 127.0.0.1:${grpcPort} proto h2
`,
    )
    const [command, args] = pinned(core, 'haproxy', ['-db', '-q', '-f', path])
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    await listening(port, child)
    return processProxy({ port, http2Port }, child)
  },
}
