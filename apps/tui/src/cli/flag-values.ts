import { assert, parseDuration } from '@ambient-lab/std'
import type { Flag } from './command.ts'
import { usageError } from './usage-error.ts'

/** What was given for one flag: the texts in order; `''` where a value was left out. */
export type GivenFlags = ReadonlyMap<string, readonly string[]>

/**
 * The values of a command's flags, looked up in this order: the command line, `AMBIENT_<COMMAND>_<FLAG>`,
 * `AMBIENT_<FLAG>` for global flags, the default. Asking for a flag that the command does not declare is a bug.
 */
export class FlagValues {
  readonly #flags: ReadonlyMap<string, Flag>
  readonly #given: GivenFlags
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #path: readonly string[]

  /** @param path the command's words: `['fault', 'add']` */
  constructor(init: {
    flags: readonly Flag[]
    given: GivenFlags
    env: Readonly<Record<string, string | undefined>>
    path: readonly string[]
  }) {
    this.#flags = new Map(init.flags.map((flag) => [flag.name, flag]))
    this.#given = init.given
    this.#env = init.env
    this.#path = init.path
  }

  has(name: string): boolean {
    return this.#flags.has(name)
  }

  /** Whether it came from the command line or the environment. */
  given(name: string): boolean {
    return this.#texts(name) !== undefined
  }

  boolean(name: string): boolean {
    const text = this.#texts(name)?.at(-1)
    return text !== undefined && !['false', '0', 'no'].includes(text)
  }

  count(name: string): number {
    const texts = this.#texts(name)
    if (texts === undefined) return 0
    const number = Number(texts.at(-1))
    return texts.length === 1 && texts[0] !== '' && Number.isInteger(number) ? number : texts.length
  }

  /** undefined when neither given nor defaulted. */
  text(name: string): string | undefined {
    const flag = this.#flag(name)
    return this.#texts(name)?.at(-1) ?? flag.default
  }

  /** Of a flag that has a default. */
  word(name: string): string {
    const text = this.text(name)
    assert(text !== undefined, `flag --${name} has no default`)
    return text
  }

  list(name: string): readonly string[] {
    return this.#texts(name) ?? []
  }

  /** In ms. @throws CodedError USAGE when the unit is missing */
  durationMs(name: string): number | undefined {
    const text = this.text(name)
    return text === undefined ? undefined : durationMs(text, `--${name}`)
  }

  /** @throws CodedError USAGE */
  number(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const number = Number(text)
    if (text.trim() !== '' && Number.isFinite(number)) return number
    throw usageError(`--${name} "${text}" is no number`, `ambient ${this.#path.join(' ')} --help`)
  }

  #flag(name: string): Flag {
    const flag = this.#flags.get(name)
    assert(flag, `flag --${name} is not declared by ${this.#path.join(' ')}`)
    return flag
  }

  #texts(name: string): readonly string[] | undefined {
    const flag = this.#flag(name)
    const given = this.#given.get(name)
    if (given !== undefined) return given
    const variable = this.#variables(flag).find((candidate) => this.#env[candidate])
    return variable === undefined ? undefined : [this.#env[variable]!]
  }

  #variables(flag: Flag): string[] {
    const word = (text: string) => text.toUpperCase().replaceAll('-', '_')
    const own = `AMBIENT_${[...this.#path, flag.name].map(word).join('_')}`
    return flag.group === undefined || flag.group === 'command' ? [own] : [own, `AMBIENT_${word(flag.name)}`]
  }
}

/** @throws CodedError USAGE with the unit that is most likely missing */
export function durationMs(text: string, where: string): number {
  const value = parseDuration(text)
  if (value !== undefined) return value
  const hint = /^\d+(\.\d+)?$/.test(text) ? `the unit is missing: ${text}s` : 'want 500ms, 10s, 3m'
  throw usageError(`${where} "${text}" is no duration`, hint)
}
