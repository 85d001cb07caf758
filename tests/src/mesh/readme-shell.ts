import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AMBIENT, type AmbientLab } from '@ambient-lab/testing/mesh'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** The shell blocks of an example's README, in their order. */
export function readmeBlocks(example: string): readonly string[] {
  const text = readFileSync(join(ROOT, 'examples', example, 'README.md'), 'utf8')
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!)
}

const END = '--- end of block\n'

/** The shell of a person who reads a README: at the root of the repository, with `ambient` on the path. */
export class ReadmeShell implements Disposable {
  readonly #child: ChildProcess
  #output = ''
  #errors = ''
  #wake: () => void = () => {}

  constructor(lab: AmbientLab) {
    const bin = join(lab.home, 'bin')
    mkdirSync(bin, { recursive: true })
    const program = join(bin, 'ambient')
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${AMBIENT}' "$@"\n`)
    chmodSync(program, 0o755)
    this.#child = spawn('bash', ['--noprofile', '--norc', '-s'], {
      cwd: ROOT,
      env: { ...lab.env, PATH: `${bin}:${process.env.PATH ?? ''}` },
      stdio: 'pipe',
    })
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text
      this.#wake()
    })
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    this.#child.on('close', () => this.#wake())
  }

  /** Runs a block to its end, and answers what it printed. */
  async run(block: string): Promise<string> {
    this.#output = ''
    // Read as a whole before it begins, so that no program of it takes the rest for its own input.
    this.#child.stdin!.write(`{\n${block}\n} < /dev/null\necho '${END.trimEnd()}'\n`)
    while (!this.#output.endsWith(END)) {
      if (this.#child.exitCode !== null) throw new Error(`the shell ended: ${this.#errors}`)
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
    return this.#output.slice(0, -END.length)
  }

  /** What commands have said beside their answers, so far. */
  get errors(): string {
    return this.#errors
  }

  [Symbol.dispose](): void {
    this.#child.stdin!.end()
    this.#child.kill()
  }
}
