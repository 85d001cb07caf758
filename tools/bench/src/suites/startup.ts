import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineSuite, median, type Row } from '../suite.ts'

const GOAL_SECONDS = 2

interface Round {
  readonly total: number
  readonly up: number
  readonly exec: number
  /** The same two commands' cost when they do nothing: npx and the start of our program. */
  readonly floor: number
}

/** From `npx ambient up demo --wait` to the first 200 of `npx ambient exec deploy/curl -- curl …/productpage`. */
export default defineSuite({
  name: 'startup',
  summary: 'three nodes and Bookinfo, from nothing to the first 200',
  roundsDefault: 10,
  async run({ rounds, say }) {
    const results: Round[] = []
    for (let round = 1; round <= rounds; round += 1) {
      const result = await measure()
      results.push(result)
      say(
        `round ${round}: ${result.total.toFixed(2)} s (up ${result.up.toFixed(2)}, exec ${result.exec.toFixed(2)}, floor ${result.floor.toFixed(2)})`,
      )
    }
    const row = (work: string, pick: (round: Round) => number, goal?: number): Row => {
      const ours = median(results.map(pick))
      return {
        work,
        peer: '-',
        unit: 's',
        ours,
        theirs: null,
        ratio: null,
        goal: goal === undefined ? '' : `≤ ${goal} s`,
        met: goal === undefined ? null : ours <= goal,
      }
    }
    return {
      versions: { npm: spawnSync('npm', ['--version'], { encoding: 'utf8' }).stdout.trim() },
      rows: [
        row('up demo --wait, then exec curl: 200', ({ total }) => total, GOAL_SECONDS),
        row('of it: up demo --wait', ({ up }) => up),
        row('of it: exec curl', ({ exec }) => exec),
        row('two npx commands that do nothing', ({ floor }) => floor),
      ],
    }
  },
})

async function measure(): Promise<Round> {
  const home = mkdtempSync(join(tmpdir(), 'ambient-bench-'))
  const env = { ...process.env, AMBIENT_HOME: home }
  try {
    const start = performance.now()
    await run(['ambient', 'up', 'demo', '--wait', '-q'], env)
    const up = performance.now()
    const code = await run(
      [
        'ambient',
        'exec',
        'deploy/curl',
        '--',
        'curl',
        '-s',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        'http://productpage:9080/productpage',
      ],
      env,
    )
    const end = performance.now()
    if (code !== '200') throw new Error(`productpage answered ${code || 'nothing'}`)
    const floorStart = performance.now()
    await run(['ambient', 'version', '--client'], env)
    const floor = (performance.now() - floorStart) * 2
    return { total: (end - start) / 1000, up: (up - start) / 1000, exec: (end - up) / 1000, floor: floor / 1000 }
  } finally {
    await run(['ambient', 'down', '-q'], env)
    rmSync(home, { recursive: true, force: true })
  }
}

function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('npx', args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.on('error', reject)
    child.on('close', (status) =>
      status === 0 ? resolve(output.trim()) : reject(new Error(`npx ${args.join(' ')}: exit ${status}`)),
    )
  })
}
