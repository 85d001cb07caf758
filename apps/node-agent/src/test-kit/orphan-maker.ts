import { SeededRandom, systemClock } from '@ambient-lab/std'
import { ChildProgram } from '../hosting/child-program.ts'
import { checkOverSockets } from '../hosting/probe.ts'
import { PROGRAMS } from './programs.ts'

/** Stands for an agent: runs one program, tells what it logs, and waits to be killed. */
const program = new ChildProgram(
  {
    pod: { uid: 'u', name: 'p', namespace: 'd', serviceAccount: 's', address: '10.0.0.1', node: 'n', labels: {} },
    spec: { name: 'c', image: 'x', command: [process.execPath, '-e', PROGRAMS.parent], args: [], env: {}, ports: [] },
    capture: { host: '127.0.0.1', port: 1 },
  },
  { onChange: () => {}, onEvent: () => {} },
  { clock: systemClock, random: new SeededRandom(1), check: checkOverSockets(systemClock), environment: process.env },
  { host: '127.0.0.1' },
)
const told = async () => {
  const [line] = await program.log(1)
  if (line === undefined) return void systemClock.schedule(10, told)
  process.stdout.write(`${program.state.pid} ${line}\n`)
  return undefined
}
void told()
