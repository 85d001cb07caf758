import { systemClock } from '@ambient-lab/std'
import { expect, test } from 'vitest'
import { execProbe } from './exec-probe.ts'

const env = { PATH: process.env.PATH ?? '', PORT: '8080', FLAVOR: 'a b' }

function run(command: readonly string[], timeoutMs = 10_000, signal = new AbortController().signal) {
  return execProbe(systemClock, command, { env, timeoutMs, signal })
}

test.each<[string, readonly string[], string | undefined]>([
  ['a command that succeeds', ['true'], undefined],
  ['one that fails and says nothing', ['false'], ''],
  ['what it wrote, on both of its outputs', ['sh', '-c', 'echo out; sleep 0.1; echo err >&2; exit 3'], 'out\nerr'],
  ['success with words', ['sh', '-c', 'echo fine'], undefined],
  ['the container’s environment, and no more', ['sh', '-c', 'echo "$PORT $FLAVOR [$VITEST]"; exit 1'], '8080 a b []'],
  ['words as they stand', ['sh', '-c', 'echo "$1"; exit 1', 'x', '$(PORT) *'], '$(PORT) *'],
  ['the folder of the program', ['sh', '-c', 'pwd; exit 1'], process.cwd()],
  ['death by a signal', ['sh', '-c', 'echo ill; kill -KILL $$'], 'ill'],
  ['no more than an event holds', ['sh', '-c', 'head -c 100000 /dev/zero | tr "\\0" x; exit 1'], 'x'.repeat(1024)],
  ['a child that stays behind', ['sh', '-c', 'sleep 60 & echo gone; exit 1'], 'gone'],
])('%s', async (_, command, failure) => {
  expect(await run(command)).toBe(failure)
})

test('a program that is not there', async () => {
  expect(await run(['/no/such/program'])).toContain('/no/such/program: not found')
})

test('a command that takes too long is ended, with all that it started', async () => {
  const command = ['sh', '-c', 'sleep 60; echo late']
  expect(await run(command, 200)).toBe('command timed out: "sh -c sleep 60; echo late" timed out after 200ms')
})

test.each(['before it began', 'while it ran'])('the container goes %s', async (when) => {
  const gone = new AbortController()
  if (when === 'before it began') gone.abort()
  const failure = run(['sleep', '60'], 10_000, gone.signal)
  gone.abort()
  expect(await failure).toBe('the container is not running')
})
