import { connect, createServer, type Server, type Socket } from 'node:net'
import { CodedError, errorCode, errorMessage } from '@ambient-lab/std'
import { SOCKET_MESSAGE_BYTES_MAX } from '../limits.ts'
import type { ProcessState } from './managed-process.ts'

/** Which process: `{ role: 'node-agent', name: 'n1' }`; there is one control plane, its name does not matter. */
export interface ProcessTarget {
  readonly role: 'control-plane' | 'node-agent'
  readonly name: string
}

/** What the command line can ask the supervisor; one JSON line each way, one request per connection. */
export type SupervisorRequest =
  /** Makes sure that the control plane, `nodes` and every known node run. Answers when the API serves. */
  | { readonly op: 'start'; readonly nodes: readonly string[] }
  | { readonly op: 'restart' | 'stop'; readonly target: ProcessTarget }
  | { readonly op: 'status' }
  /** Stops everything, agents first, then ends. */
  | { readonly op: 'shutdown' }

export interface SupervisedProcess extends ProcessTarget {
  readonly state: ProcessState
  readonly pid: number | null
}

export type SupervisorAnswer =
  | { readonly ok: true; readonly processes: readonly SupervisedProcess[] }
  | {
      readonly ok: false
      readonly error: {
        readonly code: string
        readonly message: string
        readonly next?: string
        readonly exitCode?: number
      }
    }

/** The other side refused or failed; `exitCode` is that of the program that did not start. */
export class SupervisorError extends CodedError {
  readonly exitCode: number | undefined

  constructor(error: { code: string; message: string; next?: string; exitCode?: number }) {
    super(error.code, error.message, error.next === undefined ? {} : { next: error.next })
    this.exitCode = error.exitCode
  }
}

/**
 * Asks the supervisor that listens on `path`.
 * @throws SupervisorError what it answered; CodedError UNAVAILABLE when nobody listens or it hangs up
 */
export async function askSupervisor(
  path: string,
  request: SupervisorRequest,
  signal?: AbortSignal,
): Promise<readonly SupervisedProcess[]> {
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    let text = ''
    const settle = (act: () => void) => {
      signal?.removeEventListener('abort', onAbort)
      socket.destroy()
      act()
    }
    const onAbort = () => settle(() => reject(signal?.reason))
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.setEncoding('utf8')
    socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`))
    socket.on('error', (error) => settle(() => reject(unavailable(error))))
    socket.on('close', () => settle(() => reject(unavailable(new Error('it hung up')))))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n')) settle(() => readAnswer(text, resolve, reject))
    })
  })
}

function unavailable(error: unknown): CodedError {
  return new CodedError('UNAVAILABLE', `the lab's supervisor does not answer: ${errorMessage(error)}`, {
    retry: 'yes',
    cause: error,
    next: 'ambient up',
  })
}

function readAnswer(
  text: string,
  resolve: (processes: readonly SupervisedProcess[]) => void,
  reject: (error: CodedError) => void,
): void {
  try {
    const answer = JSON.parse(text) as SupervisorAnswer
    if (answer.ok) resolve(answer.processes)
    else reject(new SupervisorError(answer.error))
  } catch (error) {
    reject(new CodedError('SUPERVISOR_PROTOCOL', 'the supervisor answered no JSON', { cause: error }))
  }
}

/**
 * Listens on a unix socket; its folder keeps other users out. Answers are written when `handle` settles.
 * @throws what listen throws
 */
export async function listenForRequests(
  path: string,
  handle: (request: SupervisorRequest) => Promise<readonly SupervisedProcess[]>,
): Promise<Server> {
  const server = createServer((socket) => serve(socket, handle))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return server
}

function serve(socket: Socket, handle: (request: SupervisorRequest) => Promise<readonly SupervisedProcess[]>): void {
  let text = ''
  socket.setEncoding('utf8')
  socket.on('error', () => {}) // whoever asked is gone
  socket.on('data', (chunk: string) => {
    text += chunk
    const end = text.indexOf('\n')
    if (end < 0) {
      if (text.length > SOCKET_MESSAGE_BYTES_MAX) socket.destroy()
      return
    }
    socket.pause()
    void answerTo(text.slice(0, end), handle).then((answer) => socket.end(`${JSON.stringify(answer)}\n`))
  })
}

async function answerTo(
  line: string,
  handle: (request: SupervisorRequest) => Promise<readonly SupervisedProcess[]>,
): Promise<SupervisorAnswer> {
  try {
    return { ok: true, processes: await handle(JSON.parse(line) as SupervisorRequest) }
  } catch (error) {
    const { next, exitCode } = error as { next?: string; exitCode?: number }
    return {
      ok: false,
      error: {
        code: errorCode(error) ?? 'SUPERVISOR_PROTOCOL',
        message: errorMessage(error),
        ...(next === undefined ? {} : { next }),
        ...(exitCode === undefined ? {} : { exitCode }),
      },
    }
  }
}
