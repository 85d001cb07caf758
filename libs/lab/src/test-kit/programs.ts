import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Programs } from '../supervisor/program.ts'

/**
 * Small programs that keep the promises of the real ones as far as a supervisor sees them: arguments, record, ready
 * line, token on stdin, SIGTERM. Each writes what it was given to `<folder>/<name>.said`.
 */
export function writeFakePrograms(folder: string): Programs {
  const path = (name: string) => join(folder, `${name}.mjs`)
  writeFileSync(path('control-plane'), `${COMMON}\n${CONTROL_PLANE}`)
  writeFileSync(path('node-agent'), `${COMMON}\n${NODE_AGENT}`)
  return {
    controlPlane: [process.execPath, path('control-plane')],
    nodeAgent: [process.execPath, path('node-agent')],
  }
}

const COMMON = `
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
const here = dirname(fileURLToPath(import.meta.url))
const flag = (name) => { const at = process.argv.indexOf('--' + name); return at < 0 ? undefined : process.argv[at + 1] }
const startTime = () => { try { return readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1).split(' ')[19] } catch { return '' } }
function record(lab, role, name) {
  const path = join(lab, 'processes', role + '-' + name + '.json')
  mkdirSync(dirname(path), { recursive: true })
  const text = JSON.stringify({ role, name, pid: process.pid, startTime: startTime(), startedAt: new Date().toISOString(), ports: {} })
  writeFileSync(path + '.tmp', text)
  renameSync(path + '.tmp', path)
  if (!existsSync(join(here, 'stubborn'))) process.on('SIGTERM', () => { rmSync(path, { force: true }); process.exit(0) })
  else process.on('SIGTERM', () => {})
}
const say = (name, text) => appendFileSync(join(here, name + '.said'), text + '\\n')
process.stdout.on('error', () => {}) // whoever waited for the ready line is gone
const ready = (extra) => process.stdout.write(JSON.stringify({ ready: true, pid: process.pid, ...extra }) + '\\n')
setInterval(() => {}, 1000)
`

const CONTROL_PLANE = `
if (existsSync(join(here, 'taken'))) { console.error('error: port 6443 is taken by process 1'); process.exit(73) }
const lab = flag('state-dir')
record(lab, 'control-plane', flag('lab'))
say('control-plane', process.argv.slice(2).join(' '))
writeFileSync(join(lab, 'kubeconfig'), readFileSync(join(here, 'kubeconfig'), 'utf8'), { mode: 0o600 })
ready({ api: 'https://127.0.0.1:1' })
`

const NODE_AGENT = `
const node = flag('node')
const state = flag('state-dir')
record(flag('lab-dir'), 'node-agent', node)
let token = 'rejoined'
if (flag('token-file') === '-') {
  token = ''
  for await (const chunk of process.stdin) token += chunk
  if (token.trim() === '') process.exit(77)
} else if (existsSync(join(here, 'refuse-rejoin'))) process.exit(77)
mkdirSync(state, { recursive: true })
writeFileSync(join(state, 'join.json'), JSON.stringify({ node }))
say(node, token.trim())
ready({ node, ports: {} })
`
