import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from '../suite.ts'
import { wait } from './load.ts'
import { residentBytes } from './process-usage.ts'

/** Threads that nobody needs are let go, and V8 gives back what it kept of them. */
const SETTLING_SECONDS = 25

interface Inspected {
  readonly items: readonly { readonly role: string; readonly pid: number }[]
}

/**
 * Resident bytes of an agent that has nothing to do: its ztunnel and its link to the control plane; in the demo lab its
 * pods, of which the median agent has a few in a worker.
 * @throws when the lab does not come up, for example because it was not built
 */
export async function idleAgentBytes(lab: 'empty' | 'demo'): Promise<number> {
  const home = mkdtempSync(join(tmpdir(), 'ambient-bench-'))
  const env = { ...process.env, AMBIENT_HOME: home }
  try {
    await ambient(lab === 'demo' ? ['up', 'demo', '--wait', '-q'] : ['up', '--wait', '-q'], env)
    await wait(SETTLING_SECONDS)
    const { items } = JSON.parse(await ambient(['lab', 'inspect', '-o', 'json'], env)) as Inspected
    return median(items.filter(({ role }) => role === 'node-agent').map(({ pid }) => residentBytes(pid)))
  } finally {
    await ambient(['down', '-q'], env).catch(() => {})
    rmSync(home, { recursive: true, force: true })
  }
}

/** What a command printed. @throws Error with what it complained of */
export function ambient(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('npx', ['ambient', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let [output, complaint] = ['', '']
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.stderr.on('data', (chunk) => {
      complaint += chunk
    })
    child.on('error', reject)
    child.on('close', (status) =>
      status === 0 ? resolve(output) : reject(new Error(`ambient ${args[0]}: ${complaint.trim().split('\n')[0]}`)),
    )
  })
}
