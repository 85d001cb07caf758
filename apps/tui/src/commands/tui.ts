import { defineCommand } from '../cli/command.ts'
import { usageError } from '../cli/usage-error.ts'
import type { Size } from '../shell/frame.ts'

export default defineCommand({
  name: 'tui',
  summary: 'the terminal UI, or one frame of it as text',
  group: 'lab',
  flags: [
    { name: 'once', kind: 'boolean', summary: 'print one frame and end' },
    { name: 'view', kind: 'text', value: 'VIEW', summary: 'the view to begin with, as : takes it', default: 'map' },
    { name: 'size', kind: 'text', value: 'COLUMNSxROWS', summary: 'of the frame that --once prints' },
    {
      name: 'namespace',
      short: 'n',
      kind: 'text',
      value: 'NS',
      summary: 'one namespace instead of all',
      group: 'selection',
    },
    {
      name: 'skin',
      kind: 'text',
      value: 'SKIN',
      summary: 'colours',
      choices: ['default', 'light', 'high-contrast', 'deuteranopia', 'tritanopia', 'mono'],
    },
    { name: 'ascii', kind: 'boolean', summary: 'no box lines and blocks' },
    { name: 'keep-faults', kind: 'boolean', summary: 'leave the faults of this session on when it ends' },
  ],
  examples: [
    { line: 'ambient tui', says: 'look at the lab' },
    { line: 'ambient tui --view wl', says: 'begin with the workloads' },
    { line: 'ambient tui --once --view wl --size 80x24', says: 'one frame, for a file or a test' },
  ],
  exits: ['no', 'unavailable'],
  async run(context) {
    const { flags, io } = context
    if (!flags.boolean('once') && !(io.isTty && process.stdin.isTTY)) {
      throw usageError(
        'the terminal UI needs a terminal',
        'ambient tui --once      or the command that its last line shows: ambient get wl',
      )
    }
    const size = flags.text('size')
    const [{ runTui }, folder, api] = await Promise.all([import('../ui/run-tui.tsx'), context.lab(), context.api()])
    try {
      return await runTui({
        lab: folder.name,
        api,
        signal: context.signal,
        globalArgv: ['--lab', folder.name],
        once: flags.boolean('once'),
        view: flags.word('view'),
        keepFaults: flags.boolean('keep-faults'),
        ...(flags.boolean('ascii') ? { ascii: true } : {}),
        ...(size === undefined ? {} : { size: parseSize(size) }),
        ...optional('namespace', flags.text('namespace')),
        ...optional('skin', flags.text('skin')),
      })
    } finally {
      api[Symbol.dispose]()
    }
  },
})

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: string }
}

function parseSize(text: string): Size {
  const match = /^(\d{2,3})x(\d{2,3})$/.exec(text)
  if (!match) throw usageError(`--size wants COLUMNSxROWS, got ${text}`, '--size 80x24')
  return { columns: Number(match[1]), rows: Number(match[2]) }
}
