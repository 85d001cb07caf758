import { type Clock, CodedError, isAlive, type ProcessRecord, removeProcessRecord } from '@ambient-lab/std'
import type { LabFolder } from '../lab-folder.ts'
import { KILL_LIMIT_MS } from '../limits.ts'
import { type StopResult, signalProcess, stopProcess, waitForExit } from '../processes.ts'
import { type ReadyLine, type StartedProgram, startProgram } from './program.ts'

/** `dead`: it ended without being asked to. `held`: a fault keeps it down. */
export type ProcessState = 'stopped' | 'starting' | 'ready' | 'dead' | 'held'

export interface ManagedProcessInit {
  readonly role: 'control-plane' | 'node-agent'
  readonly name: string
  readonly folder: LabFolder
  readonly command: readonly string[]
  /** Asked at each start, since what is needed differs between the first and a later one. */
  readonly args: () => readonly string[]
  readonly clock: Clock
  readonly onChange: () => void
  /** The one that we started ended, asked or not. */
  readonly onExit?: (exitCode: number) => void
}

/**
 * One program of the lab: started by us, or found alive and adopted. Orders are carried out one after the other, so
 * that a restart during a stop is a stop and then a start.
 */
export class ManagedProcess {
  readonly role: ManagedProcessInit['role']
  readonly name: string
  readonly #init: ManagedProcessInit
  #orders: Promise<unknown> = Promise.resolve()
  #identity: Pick<ProcessRecord, 'role' | 'name' | 'pid' | 'startTime'> | undefined
  #program: StartedProgram | undefined
  #ready: ReadyLine | undefined
  #held = false

  constructor(init: ManagedProcessInit) {
    this.role = init.role
    this.name = init.name
    this.#init = init
  }

  get state(): ProcessState {
    if (this.#held) return 'held'
    if (!this.#identity) return 'stopped'
    if (!isAlive(this.#identity)) return 'dead'
    return this.#ready ? 'ready' : 'starting'
  }

  get pid(): number | undefined {
    return this.#identity?.pid
  }

  /** What the program said when it was ready; of an adopted one, what its record says. */
  get readyLine(): ReadyLine | undefined {
    return this.#ready
  }

  get what(): string {
    return this.role === 'node-agent' ? `node ${this.name}` : 'control plane'
  }

  /** Where the join token goes, as long as the program waits for one. */
  get stdin(): NodeJS.WritableStream | undefined {
    const stdin = this.#program?.child.stdin
    return stdin?.writable ? stdin : undefined
  }

  /** Takes over one that an earlier supervisor left running. @returns false when there is none */
  adopt(): boolean {
    const { folder, role, name } = this.#init
    const record = folder.readProcesses().find((candidate) => candidate.role === role && candidate.name === name)
    if (!record || !isAlive(record)) return false
    this.#identity = record
    this.#ready = { ready: true, pid: record.pid, ports: record.ports }
    return true
  }

  /** Spawns now unless it runs; does not wait until it is ready. A held one stays down. */
  start(): void {
    if (this.#held || this.state === 'ready' || this.state === 'starting') return
    const { role, name, folder, command, args, clock, onChange, onExit } = this.#init
    const program = startProgram({ command, args: args(), logFile: folder.log(role, name), what: this.what, clock })
    this.#program = program
    this.#identity = { role, name, pid: program.pid, startTime: program.startTime }
    this.#ready = undefined
    program.ready.then(
      (line) => {
        if (this.#program !== program) return
        this.#ready = line
        onChange()
      },
      () => onChange(),
    )
    void program.exited.then((exitCode) => {
      onChange()
      onExit?.(exitCode)
    })
  }

  /** @throws CodedError START_FAILED, TIMEOUT; PROCESS_UNKNOWN when it was never started */
  async whenReady(): Promise<ReadyLine> {
    if (this.state === 'ready') return this.#ready!
    if (this.#program) return this.#program.ready
    throw new CodedError('PROCESS_UNKNOWN', `${this.what} is ${this.state}`, { next: 'ambient up' })
  }

  stop(): Promise<StopResult> {
    return this.#order(async () => {
      const identity = this.#identity
      if (!identity) return 'gone'
      const result = await stopProcess(identity, { clock: this.#init.clock })
      this.#forget()
      return result
    })
  }

  restart(): Promise<void> {
    return this.#order(async () => {
      if (this.#identity) await stopProcess(this.#identity, { clock: this.#init.clock })
      this.#forget()
      this.start()
    })
  }

  /** SIGKILL, and down until `release`: what a power cut does to a machine. */
  hold(): Promise<void> {
    return this.#order(async () => {
      this.#held = true
      const identity = this.#identity
      if (identity && signalProcess(identity, 'SIGKILL')) await waitForExit(identity, this.#init.clock, KILL_LIMIT_MS)
      this.#forget()
    })
  }

  /** Ends `hold` and starts it again. */
  release(): Promise<void> {
    return this.#order(async () => {
      if (!this.#held) return
      this.#held = false
      this.start()
    })
  }

  #order<T>(carryOut: () => Promise<T>): Promise<T> {
    const result = this.#orders.then(carryOut)
    this.#orders = result.catch(() => {})
    void result.finally(this.#init.onChange).catch(() => {})
    return result
  }

  #forget(): void {
    removeProcessRecord(this.#init.folder.processes, this.#init)
    this.#identity = undefined
    this.#program = undefined
    this.#ready = undefined
  }
}
