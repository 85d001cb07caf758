#!/usr/bin/env node
// Finds a Node that is new enough, builds once where nothing is built yet, and hands over to the bundle.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const main = new URL('../dist/main.js', import.meta.url)
const root = fileURLToPath(new URL('../../..', import.meta.url))

if (!existsSync(main)) {
  process.stderr.write('ambient: building once …\n')
  const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (build.status !== 0) process.exit(70)
}

if (Number(process.versions.node.split('.')[0]) >= 24) {
  module.enableCompileCache?.()
  await import(main.href)
} else {
  const node = fileURLToPath(new URL('../../../node_modules/node/bin/node', import.meta.url))
  const argv = [fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  const child = spawn(existsSync(node) ? node : 'node', argv, { stdio: 'inherit' })
  // The terminal tells both of Ctrl-C and of its own end; this process only waits. TERM reaches nobody but this one.
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}
