import type { ApiClient, LabFolder } from '@ambient-lab/lab'
import type { Clock, Random } from '@ambient-lab/std'
import type { ExitName } from './exit-codes.ts'
import type { FlagValues } from './flag-values.ts'
import type { Io } from './io.ts'

/** What the value of a flag is. `text?` may be left out: `--wait`, `--wait=Ready`. */
export type FlagKind = 'boolean' | 'count' | 'text' | 'text?' | 'list' | 'duration' | 'number'

export interface Flag {
  /** Without dashes. */
  readonly name: string
  readonly short?: string
  readonly kind: FlagKind
  /** Word for the value in help: `DURATION`. */
  readonly value?: string
  readonly summary: string
  /** @default 'command' */
  readonly group?: 'command' | 'selection' | 'output' | 'global'
  /** The only values that are taken. */
  readonly choices?: readonly string[]
  readonly default?: string
}

/** What one positional argument is, for completion. */
export type Completes = 'type' | 'object' | 'lab' | 'pod' | 'node' | 'fault' | 'file' | 'none'

export interface Example {
  /** A whole command line, `ambient` included. */
  readonly line: string
  readonly says: string
}

export type CommandGroup = 'lab' | 'resources' | 'traffic' | 'faults and load' | 'other'

export interface Command {
  readonly name: string
  readonly aliases?: readonly string[]
  /** One sentence, lower case, no full stop. */
  readonly summary: string
  readonly group: CommandGroup
  /** Works, and is not listed. */
  readonly hidden?: boolean
  /** Argument part of the usage line: `TYPE[/NAME] …`. */
  readonly usage?: string
  /** How many positional arguments: at least, at most. @default none */
  readonly takes?: readonly [least: number, most: number]
  /** Whether something may follow `--`. */
  readonly takesRest?: boolean
  readonly completes?: readonly Completes[]
  readonly flags?: readonly Flag[]
  readonly examples: readonly Example[]
  /** Besides ok, usage and internal, which every command has. */
  readonly exits?: readonly ExitName[]
  /** Paragraphs below the examples. */
  readonly notes?: string
  /** A noun has verbs and no run of its own. */
  readonly verbs?: readonly Command[]
  /** Answers the exit code. What it throws becomes an error message and its code. */
  run?(context: CommandContext): Promise<number>
}

/** What a command has to work with. Nothing is opened before it is asked for. */
export interface CommandContext {
  readonly command: Command
  readonly flags: FlagValues
  readonly args: readonly string[]
  /** Behind `--`. */
  readonly rest: readonly string[]
  readonly io: Io
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly clock: Clock
  readonly random: Random
  /** Aborted by Ctrl-C and SIGTERM; its reason is a CodedError INTERRUPTED or TERMINATED. */
  readonly signal: AbortSignal
  /** Every command there is, for help and completion. */
  readonly commands: readonly Command[]
  /** Folder of all labs. */
  readonly home: string
  /** The lab that is meant. @throws CodedError LAB_NOT_RUNNING, LAB_AMBIGUOUS */
  lab(): Promise<LabFolder>
  /** A client of its API, or of `--context`'s. @throws CodedError UNAVAILABLE */
  api(): Promise<ApiClient>
}

export function defineCommand(command: Command): Command {
  return command
}
