import type { Socket } from 'node:net'
import { defineWorkload } from '../hosting/workload.ts'

const PORT = 6379
const KEEPS_NOTHING = "-ERR this lab's redis keeps nothing: what would count in it counts in its own memory\r\n"
/** One that sends more without a line's end speaks something else. */
const LINE_MAX = 512

/**
 * Stands where manifests put a Redis beside a rate limit service: it is there and answers PING, so that Deployments
 * become available and probes succeed, and refuses everything else in words.
 */
export default defineWorkload({
  name: 'redis',
  images: ['redis'],
  ports: () => [PORT],
  create: () => ({ tcp: serve }),
})

/** A command is a line, or an array of strings whose first is its name. */
function serve(socket: Socket): void {
  let rest = ''
  /** Of an array: lines to come, two for each string, and the name that was among them. */
  let awaited = 0
  let name: string | undefined
  const take = (line: string): string | undefined => {
    if (awaited === 0) {
      awaited = line.startsWith('*') ? 2 * (Number.parseInt(line.slice(1), 10) || 0) : 0
      name = undefined
      return line.startsWith('*') ? undefined : line
    }
    awaited -= 1
    if (awaited % 2 === 0) name ??= line
    return awaited === 0 ? name : undefined
  }
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    const lines = (rest + chunk).split(/\r?\n/)
    rest = lines.pop()!
    if (rest.length > LINE_MAX) return void socket.end('-ERR Protocol error: too big inline request\r\n')
    const commands = lines.map(take).filter((command) => command !== undefined && command !== '')
    for (const command of commands) socket.write(/^ping$/i.test(command!) ? '+PONG\r\n' : KEEPS_NOTHING)
  })
  socket.on('end', () => socket.end())
}
