/** An echo as its own process: ten thousand connections at both their ends are more files than one process may open. */
import { fork } from 'node:child_process'
import { Backend } from './load.ts'

export interface EchoProcess extends Disposable {
  readonly port: number
}

export function startEchoProcess(): Promise<EchoProcess> {
  const child = fork(import.meta.filename, ['serve'])
  const { promise, resolve, reject } = Promise.withResolvers<EchoProcess>()
  child.once('message', (port: number) => resolve({ port, [Symbol.dispose]: () => child.disconnect() }))
  child.once('exit', (code) => reject(new Error(`the echo ended with ${code}`)))
  return promise
}

if (process.argv[2] === 'serve' && process.send) {
  process.on('disconnect', () => process.exit(0))
  process.send(await new Backend('echo').listen())
}
