import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError, sleep, systemClock } from '@ambient-lab/std'
import { render } from 'ink'
import { LabSource } from '../model/lab-source.ts'
import { renderFrame, type Size } from '../shell/frame.ts'
import { initialState } from '../shell/navigation.ts'
import { allViews, viewByName } from '../shell/registry.ts'
import { type RunCommand, Shell } from '../shell/shell.ts'
import { plainText } from '../shell/text.ts'
import { chooseTheme } from '../shell/theme.ts'
import { App } from './app.tsx'

export interface TuiOptions {
  readonly lab: string
  readonly api: ApiClient
  /** Ends it as its quit key does: the screen left, the session's own faults healed. */
  readonly signal: AbortSignal
  /** One frame as text on stdout, then the end. */
  readonly once?: boolean
  readonly view?: string
  readonly namespace?: string
  readonly size?: Size
  readonly skin?: string
  readonly ascii?: boolean
  readonly keepFaults?: boolean
  /** `-L` and the like, put before every command that the screen runs. */
  readonly globalArgv?: readonly string[]
}

/** Between the two answers that a single frame's rates are made of. */
const ONCE_SAMPLE_MS = 600

/**
 * The terminal UI until the person leaves, or one frame of it.
 * @returns the exit code
 * @throws CodedError USAGE for an unknown view, UNAVAILABLE when the API is not there; the signal's reason
 */
export async function runTui(options: TuiOptions): Promise<number> {
  const view = viewByName(options.view ?? 'map')
  if (!view) {
    throw new CodedError('USAGE', `no view is called ${options.view}`, {
      next: `one of: ${allViews()
        .map(({ names }) => names[0])
        .join(' ')}`,
    })
  }
  await using source = new LabSource({ lab: options.lab, api: options.api, clock: systemClock })
  await source.start(options.signal)
  // Awaited here: the source is disposed when this function returns, not when its promise settles.
  return await (options.once ? printFrame(source, options, view.id) : runScreen(source, options, view.id))
}

async function printFrame(source: LabSource, options: TuiOptions, view: string): Promise<number> {
  await sleep(systemClock, ONCE_SAMPLE_MS)
  await source.refresh()
  const lines = renderFrame({
    model: source.model,
    ui: initialState(view, options.namespace),
    view: viewByName(view)!,
    size: options.size ?? { columns: process.stdout.columns ?? 80, rows: process.stdout.rows ?? 24 },
    ascii: asciiWanted(options),
  })
  process.stdout.write(`${lines.map((line) => plainText(line).trimEnd()).join('\n')}\n`)
  return 0
}

async function runScreen(source: LabSource, options: TuiOptions, view: string): Promise<number> {
  const leaving = new AbortController()
  const shell = new Shell({
    run: commandRunner(options.globalArgv ?? [], leaving.signal),
    clock: systemClock,
    model: () => source.model,
    view,
    rows: () => process.stdout.rows ?? 24,
    // OSC 52: the terminal's own clipboard, also over ssh.
    copy: (text) => process.stdout.write(`\u001b]52;c;${Buffer.from(text).toString('base64')}\u0007`),
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  })
  const theme = chooseTheme(process.env, options.skin)
  const screen = render(<App shell={shell} source={source} theme={theme} ascii={asciiWanted(options)} />, {
    exitOnCtrlC: false,
    // Said, because Ink takes a shell with CI in its environment for one that nobody looks at, and draws nothing.
    interactive: true,
    alternateScreen: true,
    incrementalRendering: true,
    maxFps: 30,
  })
  options.signal.addEventListener('abort', () => shell.end(), { once: true })
  await screen.waitUntilExit()
  leaving.abort()
  if (options.keepFaults) return left(0)
  const stuck = await shell.healOwnFaults()
  for (const name of stuck)
    process.stderr.write(`error: fault ${name} could not be healed\n  next: ambient fault heal ${name}\n`)
  return left(stuck.length > 0 ? 1 : 0)

  function left(code: number): number {
    options.signal.throwIfAborted()
    return code
  }
}

function asciiWanted({ ascii }: TuiOptions): boolean {
  return ascii ?? (process.env.TERM === 'linux' || process.env.TERM === 'dumb')
}

/** Commands run as processes of their own: what the screen does is what the shell would do, and a crash stays there. */
function commandRunner(globalArgv: readonly string[], leaving: AbortSignal): RunCommand {
  return async (argv) => {
    const child = spawn(process.execPath, [process.argv[1]!, ...globalArgv, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    // What still runs when the person leaves is told as Ctrl-C would tell it; healing comes after, and is not stopped.
    if (!leaving.aborted) leaving.addEventListener('abort', () => child.kill('SIGINT'), { once: true })
    const [code] = (await once(child, 'close')) as [number | null]
    return { code: code ?? 1, stdout, stderr }
  }
}
