import type { Command, Flag } from './command.ts'
import type { GivenFlags } from './flag-values.ts'
import { GLOBAL_FLAGS } from './global-flags.ts'
import { nearest } from './nearest.ts'
import { didYouMean, usageError } from './usage-error.ts'

/** A command line, taken apart and not yet judged. */
export interface Parsed {
  /** undefined: no command was named. */
  readonly command: Command | undefined
  /** Its words: `['fault', 'add']`. */
  readonly path: readonly string[]
  /** Every flag that is allowed here. */
  readonly flags: readonly Flag[]
  readonly given: GivenFlags
  readonly args: readonly string[]
  readonly rest: readonly string[]
}

/**
 * GNU's grammar: flags anywhere, `--name value`, `--name=value`, `-n value`, `-nvalue`, `-qv`; `--` ends them. A
 * command's flags are known behind its name.
 * @throws CodedError USAGE naming the nearest flag or command
 */
export function parseCommandLine(argv: readonly string[], commands: readonly Command[]): Parsed {
  return new Parser(argv, commands).parse()
}

class Parser {
  readonly #argv: readonly string[]
  readonly #commands: readonly Command[]
  readonly #given = new Map<string, string[]>()
  readonly #path: string[] = []
  readonly #args: string[] = []
  #flags: Flag[] = [...GLOBAL_FLAGS]
  #command: Command | undefined
  #index = 0

  constructor(argv: readonly string[], commands: readonly Command[]) {
    this.#argv = argv
    this.#commands = commands
  }

  parse(): Parsed {
    let rest: readonly string[] = []
    for (; this.#index < this.#argv.length; this.#index += 1) {
      const word = this.#argv[this.#index]!
      if (word === '--') {
        rest = this.#argv.slice(this.#index + 1)
        break
      }
      if (word.startsWith('--')) this.#long(word)
      else if (word.startsWith('-') && word !== '-') this.#short(word)
      else this.#positional(word)
    }
    return { command: this.#command, path: this.#path, flags: this.#flags, given: this.#given, args: this.#args, rest }
  }

  #positional(word: string): void {
    const candidates = this.#command ? this.#command.verbs : this.#commands
    if (!candidates) {
      this.#args.push(word)
      return
    }
    const found = candidates.find(({ name, aliases }) => name === word || aliases?.includes(word))
    if (!found) throw this.#unknownCommand(word, candidates)
    this.#command = found
    this.#path.push(found.name)
    this.#flags = [...this.#flags, ...(found.flags ?? [])]
  }

  #unknownCommand(word: string, candidates: readonly Command[]): Error {
    const names = candidates.filter(({ hidden }) => !hidden).flatMap(({ name, aliases = [] }) => [name, ...aliases])
    const line = ['ambient', ...this.#path].join(' ')
    const what = this.#command ? `${line} has no verb "${word}"` : `there is no command "${word}"`
    return usageError(what + didYouMean(nearest(word, names)), `${line} --help`)
  }

  #long(word: string): void {
    const equals = word.indexOf('=')
    const name = word.slice(2, equals < 0 ? undefined : equals)
    const flag = this.#flags.find((candidate) => candidate.name === name)
    if (!flag) throw this.#unknownFlag(`--${name}`)
    if (equals >= 0) this.#give(flag, word.slice(equals + 1), `--${name}`)
    else if (isSwitch(flag)) this.#give(flag, '', `--${name}`)
    else this.#give(flag, this.#next(`--${name}`, flag), `--${name}`)
  }

  #short(word: string): void {
    for (let position = 1; position < word.length; position += 1) {
      const letter = word[position]!
      const flag = this.#flags.find((candidate) => candidate.short === letter)
      if (!flag) throw this.#unknownFlag(`-${letter}`)
      if (isSwitch(flag)) {
        this.#give(flag, '', `-${letter}`)
        continue
      }
      const attached = word.slice(position + 1).replace(/^=/, '')
      this.#give(flag, attached === '' ? this.#next(`-${letter}`, flag) : attached, `-${letter}`)
      return
    }
  }

  #next(shown: string, flag: Flag): string {
    const value = this.#argv[this.#index + 1]
    if (value === undefined || value === '--')
      throw usageError(`${shown} needs a value`, `${shown} ${flag.value ?? 'VALUE'}`)
    this.#index += 1
    return value
  }

  #give(flag: Flag, value: string, shown: string): void {
    if (flag.choices && !flag.choices.includes(value)) {
      const suggestion = didYouMean(nearest(value, flag.choices))
      throw usageError(`${shown} does not take "${value}"${suggestion}`, `one of: ${flag.choices.join(', ')}`)
    }
    const before = this.#given.get(flag.name)
    if (before) before.push(value)
    else this.#given.set(flag.name, [value])
  }

  #unknownFlag(shown: string): Error {
    const line = ['ambient', ...this.#path].join(' ')
    const names = this.#flags.map(({ name }) => `--${name}`)
    const suggestion = shown.startsWith('--') ? nearest(shown, names) : undefined
    return usageError(`${line} has no flag ${shown}${didYouMean(suggestion)}`, `${line} --help`)
  }
}

/** Takes no value of the next word. */
function isSwitch({ kind }: Flag): boolean {
  return kind === 'boolean' || kind === 'count' || kind === 'text?'
}
