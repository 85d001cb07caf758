import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { pinned } from '../l4/cores.ts'
import { freePort, listening } from '../l4/pair.ts'
import { GRPC_PATH, type HttpPeer, type HttpProxy, type HttpProxyInit, processProxy } from './http-peer.ts'

export const NGINX_VERSION = nginxVersion()

/** nginx with one worker and upstream keep-alive, and nothing else: no log, no policy, no metrics. */
export const nginx: HttpPeer = {
  name: 'nginx, plain proxy',
  version: NGINX_VERSION,
  absence: 'nginx is not installed',
  start: (init) =>
    startNginx(init, {
      role: 'proxy',
      top: `upstream backend { server 127.0.0.1:${init.backendPort}; keepalive 256; keepalive_requests 1000000000; }
  upstream grpc { server 127.0.0.1:${init.grpcPort}; keepalive 256; keepalive_requests 1000000000; }`,
      locations: `location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_request_buffering off; proxy_buffering off; client_max_body_size 0; }
    location ${GRPC_PATH} { grpc_pass grpc://grpc; }`,
    }),
}

/**
 * What answers: the fastest server at hand, so that it never bounds a proxy. Its second port answers gRPC:
 * with bytes that are no message, since a configuration has no zeros; no proxy here reads them.
 */
export function startBackend(init: Pick<HttpProxyInit, 'folder' | 'core'>): Promise<HttpProxy> {
  return startNginx(init, {
    role: 'backend',
    top: '',
    locations: `location / { client_max_body_size 0; return 200 "hello"; }
    location ${GRPC_PATH} { default_type application/grpc; add_trailer grpc-status 0; return 200 "hello"; }`,
  })
}

async function startNginx(
  { folder, core }: Pick<HttpProxyInit, 'folder' | 'core'>,
  { role, top, locations }: { readonly role: string; readonly top: string; readonly locations: string },
): Promise<HttpProxy> {
  const port = await freePort()
  const http2Port = await freePort()
  const path = `${folder}/nginx-${role}.conf`
  writeFileSync(
    path,
    `worker_processes 1; daemon off; pid ${folder}/nginx-${role}.pid; error_log ${folder}/nginx-${role}.log crit;
events { worker_connections 8192; }
http { access_log off; keepalive_requests 1000000000; ${top}
  server {
    listen 127.0.0.1:${port} backlog=4096; listen 127.0.0.1:${http2Port} http2 backlog=4096;
    ${locations}
  } }
`,
  )
  const [command, args] = pinned(core, 'nginx', ['-c', path])
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'ignore'] })
  await listening(port, child)
  return processProxy({ port, http2Port }, child, () => childrenOf(child.pid!))
}

/** The master does nothing; its worker does. */
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

function nginxVersion(): string | undefined {
  const { status, stderr } = spawnSync('nginx', ['-v'], { encoding: 'utf8' })
  return status === 0 ? /nginx\/(\S+)/.exec(stderr)?.[1] : undefined
}
