import { spawn, spawnSync } from 'node:child_process'
import { pinned } from './cores.ts'
import { freePort, listening, type Pair, type PairInit, type Peer, processPair } from './pair.ts'

/** Two HAProxy, TCP in and out, TLS 1.3 with both ends authenticated between them, a handshake for each connection. */
export const haproxy: Peer = {
  name: 'haproxy mTLS pair',
  version: haproxyVersion(),
  absence: 'haproxy is not installed',
  start: startHaproxyPair,
}

async function startHaproxyPair({ certificates, backendPort, cores }: PairInit): Promise<Pair> {
  const { folder } = certificates
  const [sourcePort, tunnelPort] = [await freePort(), await freePort()]
  const tls = `ssl crt ${folder}/both.pem ca-file ${folder}/roots.pem verify required ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256`
  const start = (role: string, core: number | undefined, listen: string, server: string) => {
    const path = certificates.write(`haproxy-${role}.cfg`, configOf(listen, server))
    const [command, args] = pinned(core, 'haproxy', ['-db', '-q', '-f', path])
    return spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  const destination = start(
    'destination',
    cores?.destination,
    `${tunnelPort} ${tls} no-tls-tickets`,
    String(backendPort),
  )
  const source = start('source', cores?.source, String(sourcePort), `${tunnelPort} ${tls} no-ssl-reuse no-tls-tickets`)
  await Promise.all([listening(sourcePort, source), listening(tunnelPort, destination)])
  return processPair({ port: sourcePort }, [source, destination])
}

function configOf(listen: string, server: string): string {
  return `global
  nbthread 1
  maxconn 8000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen proxy
  bind 127.0.0.1:${listen}
  server next 127.0.0.1:${server}
`
}

function haproxyVersion(): string | undefined {
  const { status, stdout } = spawnSync('haproxy', ['-v'], { encoding: 'utf8' })
  return status === 0 ? /version (\S+)/.exec(stdout)?.[1] : undefined
}
