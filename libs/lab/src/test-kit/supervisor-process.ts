/** A supervisor as a process of its own, over the small programs of its last argument: HOME LAB NODES FOLDER. */
import { SeededRandom, systemClock } from '@ambient-lab/std'
import { EXIT_LAB_HELD } from '../lab.ts'
import { LabFolder } from '../lab-folder.ts'
import { Supervisor } from '../supervisor/supervisor.ts'
import { writeFakePrograms } from './programs.ts'

const [home = '', lab = '', nodes = '', folder = ''] = process.argv.slice(2)
const supervisor = new Supervisor({
  folder: new LabFolder(home, lab),
  machine: 'here',
  programs: writeFakePrograms(folder),
  nodes: nodes.split(',').filter(Boolean),
  components: {
    clock: systemClock,
    random: new SeededRandom(1),
    log: (line) => process.stderr.write(`${line}\n`),
  },
})
process.on('SIGTERM', () => void supervisor.shutdown())
try {
  await supervisor.start()
} catch (error) {
  process.stderr.write(`${error}\n`)
  process.exit(EXIT_LAB_HELD)
}
process.stdout.write('{"listening":true}\n')
await supervisor.ended
