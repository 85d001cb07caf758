import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CertificateAuthority, createCsr, formatSpiffeId, generateKeyPair, privateKeyToPem } from '@ambient-lab/pki'
import { systemClock } from '@ambient-lab/std'

/** Both proxies run here; the load and the backends run on the other core. */
const PROXY_CORE = '1'

/** Two proxies between a plain port and a backend, mutual TLS between them. */
export interface Pair {
  readonly name: string
  readonly port: number
  /** Resident bytes of both, now. */
  memory(): Promise<number>
  /** Seconds of processor time that both have used so far: tells their cost also where others keep the core busy. */
  cpuSeconds(): number
  stop(): void
}

/** A folder with a certificate, its key and the root: both proxies of each pair use them. */
export function makeCertificates(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ambient-bench-'))
  const authority = CertificateAuthority.create({ clock: systemClock })
  const keys = generateKeyPair()
  const id = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'bench' }
  const { chainPem, rootsPem } = authority.signWorkload(createCsr(keys, { uri: formatSpiffeId(id) }))
  writeFileSync(`${folder}/chain.pem`, chainPem.join(''))
  writeFileSync(`${folder}/key.pem`, privateKeyToPem(keys.privateKey))
  writeFileSync(`${folder}/roots.pem`, rootsPem.join(''))
  writeFileSync(`${folder}/both.pem`, chainPem.join('') + privateKeyToPem(keys.privateKey))
  return folder
}

export function removeCertificates(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

export async function ambientPair(
  folder: string,
  backendPort: number,
  nodeFlags: readonly string[] = [],
): Promise<Pair> {
  const destination = startProxy('destination', folder, backendPort, nodeFlags)
  const source = startProxy('source', folder, Number(await destination.line()), nodeFlags)
  const port = Number(await source.line())
  return {
    name: 'ambient',
    port,
    async memory() {
      return Number(await source.ask()) + Number(await destination.ask())
    },
    cpuSeconds: () => cpuSeconds(source.child) + cpuSeconds(destination.child),
    stop() {
      source.child.kill('SIGINT')
      destination.child.kill('SIGINT')
    },
  }
}

/** The first line of `haproxy -v`, undefined where it is not installed. */
export function haproxyVersion(): string | undefined {
  const { status, stdout } = spawnSync('haproxy', ['-v'], { encoding: 'utf8' })
  return status === 0 ? stdout.split('\n')[0] : undefined
}

export async function haproxyPair(folder: string, backendPort: number): Promise<Pair> {
  const [sourcePort, tunnelPort] = [await freePort(), await freePort()]
  const tls = `ssl crt ${folder}/both.pem ca-file ${folder}/roots.pem verify required ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256`
  const config = (listen: string, server: string) =>
    `global
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
  const start = (role: string, text: string) => {
    writeFileSync(`${folder}/${role}.cfg`, text)
    return spawn('taskset', ['-c', PROXY_CORE, 'haproxy', '-db', '-q', '-f', `${folder}/${role}.cfg`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  const destination = start('destination', config(`${tunnelPort} ${tls} no-tls-tickets`, String(backendPort)))
  const source = start('source', config(String(sourcePort), `${tunnelPort} ${tls} no-ssl-reuse no-tls-tickets`))
  await Promise.all([listening(sourcePort), listening(tunnelPort)])
  return {
    name: 'haproxy',
    port: sourcePort,
    memory: async () => residentBytes(source) + residentBytes(destination),
    cpuSeconds: () => cpuSeconds(source) + cpuSeconds(destination),
    stop() {
      source.kill('SIGKILL')
      destination.kill('SIGKILL')
    },
  }
}

function startProxy(role: string, folder: string, port: number, nodeFlags: readonly string[]) {
  const flags = ['--conditions=@ambient-lab/source', '--expose-gc', ...nodeFlags]
  const args = [
    '-c',
    PROXY_CORE,
    process.execPath,
    ...flags,
    join(import.meta.dirname, 'proxy.ts'),
    role,
    folder,
    String(port),
  ]
  const child = spawn('taskset', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const line = () =>
    new Promise<string>((resolve) => child.stdout.once('data', (chunk) => resolve(String(chunk).trim())))
  const ask = () => {
    child.stdin.write('\n')
    return line()
  }
  return { child, line, ask }
}

function residentBytes(child: ChildProcess): number {
  const pages = Number(readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ')[1])
  return pages * 4096
}

/** Of all threads: what the scheduler counted, in ns. */
function cpuSeconds(child: ChildProcess): number {
  const tasks = `/proc/${child.pid}/task`
  return readdirSync(tasks).reduce(
    (sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e9,
    0,
  )
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

async function listening(port: number): Promise<void> {
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => {
        socket.destroy()
        resolve(true)
      }).on('error', () => resolve(false))
    })
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
