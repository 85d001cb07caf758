import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CodedError, makeFolder, systemClock, unseededRandom } from '@ambient-lab/std'
import type { Command, CommandContext } from './command.ts'
import { errorText } from './error-text.ts'
import { exitCode, exitCodeOf } from './exit-codes.ts'
import { FlagValues } from './flag-values.ts'
import { commandText, overviewText } from './help.ts'
import { type Io, processIo, wantsColor } from './io.ts'
import { type Parsed, parseCommandLine } from './parse.ts'
import { createContext } from './session.ts'
import { usageError } from './usage-error.ts'

export interface RunInit {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly commands: readonly Command[]
  readonly signal: AbortSignal
  /** Called when stdout takes no more; ends the command through `signal`. */
  readonly answerLost: (why: CodedError) => void
  /** @default the process's own, by the flags */
  readonly io?: Io
}

/** One command line, from its words to its exit code. Never throws. */
export async function run(init: RunInit): Promise<number> {
  let verbosity = 0
  try {
    const parsed = parseCommandLine(init.argv, init.commands)
    const flags = new FlagValues({ flags: parsed.flags, given: parsed.given, env: init.env, path: parsed.path })
    verbosity = flags.count('verbose')
    const io = init.io ?? ioFor(flags, init)
    if (flags.boolean('help')) return help(parsed, init.commands, io)
    if (!parsed.command) return await withoutCommand(init, io)
    if (!parsed.command.run) return help(parsed, init.commands, io, 'usage')
    checkArguments(parsed)
    using context = createContext({ init, parsed, flags, io, clock: systemClock, random: unseededRandom() })
    return await parsed.command.run(context)
  } catch (error) {
    return report(error, init, verbosity)
  }
}

/** On a terminal the terminal UI, elsewhere the overview. */
async function withoutCommand(init: RunInit, io: Io): Promise<number> {
  const tui = init.commands.find(({ name }) => name === 'tui')
  if (io.isTty && tui && init.argv.length === 0) return run({ ...init, argv: ['tui'], io })
  io.error(overviewText(init.commands).trimEnd())
  return exitCode('usage')
}

function help(parsed: Parsed, commands: readonly Command[], io: Io, exit: 'ok' | 'usage' = 'ok'): number {
  const text = parsed.command ? commandText(parsed.command, parsed.path) : overviewText(commands)
  if (exit === 'ok') io.answer(text)
  else io.error(text.trimEnd())
  return exitCode(exit)
}

function ioFor(flags: FlagValues, { env, answerLost }: RunInit): Io {
  const color = wantsColor(flags.word('color'), env, process.stdout.isTTY === true)
  return processIo({ quiet: flags.boolean('quiet'), color, answerLost })
}

function checkArguments({ command, path, args, rest }: Parsed): void {
  const [least, most] = command?.takes ?? [0, 0]
  const line = `ambient ${path.join(' ')}`
  const usage = `${line} ${command?.usage ?? ''}`.trimEnd()
  if (args.length < least)
    throw usageError(`${line} needs ${least === 1 ? 'an argument' : `${least} arguments`}`, usage)
  if (args.length > most) {
    const hint = command?.takesRest
      ? `${line} ${args.slice(0, most).join(' ')} -- ${args.slice(most).join(' ')}`
      : usage
    throw usageError(`${line} does not take "${args[most]}"`, hint)
  }
  if (rest.length > 0 && !command?.takesRest) throw usageError(`${line} takes nothing behind --`, usage)
}

function report(error: unknown, { io, env, signal, answerLost }: RunInit, verbosity: number): number {
  const reason = signal.aborted && CodedError.is(signal.reason) ? signal.reason : error
  const code = exitCodeOf(reason)
  if (code === exitCode('ok') || code === exitCode('interrupted') || code === exitCode('terminated')) return code
  if (CodedError.is(reason, 'ANSWER_LOST')) return code // told when it happened
  const out = io ?? processIo({ quiet: false, color: false, answerLost })
  out.error(errorText(reason, verbosity))
  if (code === exitCode('internal') && !CodedError.is(reason))
    out.error(`  support file: ${writeSupportFile(reason, env)}`)
  return code
}

/** The stack of a bug, for whoever mends it. */
function writeSupportFile(error: unknown, env: CommandContext['env']): string {
  const folder = env.AMBIENT_HOME ?? env.XDG_STATE_HOME ?? env.TMPDIR ?? '/tmp'
  const path = join(folder, `ambient-bug-${process.pid}.txt`)
  const text = `${error instanceof Error ? error.stack : String(error)}\n\nnode ${process.version} ${process.platform}\n`
  try {
    makeFolder(folder)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  } catch {
    return `none (${folder} cannot be written)\n${text}`
  }
}
