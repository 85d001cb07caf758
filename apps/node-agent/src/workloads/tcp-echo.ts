import type { Socket } from 'node:net'
import { MiB } from '@ambient-lab/std'
import { type ContainerSpec, defineWorkload, type WorkloadContext } from '../hosting/workload.ts'

const PORT_DEFAULT = 9000

/** A line that never ends must not fill the memory: the connection is cut. */
const LINE_BYTES_MAX = MiB

/**
 * Istio's tcp-echo-server, `tcp-echo-server 9000,9001 hello`: each line comes back behind the prefix. Without a prefix it
 * is a plain echo, byte for byte, which measures better.
 */
export default defineWorkload({
  name: 'tcp-echo',
  images: ['tcp-echo-server'],
  ports: (container) => parseArguments(container).ports,
  create: (context) => {
    const { prefix } = parseArguments(context.container)
    return { tcp: (socket) => (prefix === undefined ? echo(socket) : echoLines(socket, prefix, context)) }
  },
})

function parseArguments({ command, args }: ContainerSpec): { ports: readonly number[]; prefix: string | undefined } {
  const words = [...command, ...args]
  const at = words.findIndex((word) => /^\d+(,\d+)*$/.test(word))
  if (at < 0) return { ports: [PORT_DEFAULT], prefix: undefined }
  return { ports: words[at]!.split(',').map(Number), prefix: words[at + 1] }
}

function echo(socket: Socket): void {
  socket.pipe(socket)
}

function echoLines(socket: Socket, prefix: string, context: WorkloadContext): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    let start = 0
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      const line = bytes.subarray(start, end + 1)
      context.log(`request: ${line.toString('utf8').trimEnd()}`)
      if (!socket.write(Buffer.concat([Buffer.from(`${prefix} `), line]))) socket.pause()
      start = end + 1
    }
    rest = bytes.subarray(start)
    if (rest.length > LINE_BYTES_MAX) socket.destroy()
  })
  socket.on('drain', () => socket.resume())
  socket.on('end', () => socket.end())
}
