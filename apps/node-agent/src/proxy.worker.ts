import { parentPort } from 'node:worker_threads'
import { assert, errorMessage } from '@ambient-lab/std'
import { ProxyProcess } from './hosting/proxy-process.ts'
import type { ProxyCommand, ProxyNews } from './hosting/proxy-protocol.ts'

/** The thread of one L7 proxy. An error that nobody expected ends it; the main thread starts another. */
assert(parentPort, 'this module is a worker')
const port = parentPort
const send = (news: ProxyNews) => port.postMessage(news)
let proxy: ProxyProcess | undefined

port.on('message', (command: ProxyCommand) => {
  if (command.type === 'start') {
    proxy = new ProxyProcess(command.spec, send)
    proxy.start(command.state).catch((error) => send({ type: 'failed', message: errorMessage(error) }))
  } else {
    proxy?.hear(command)
  }
})
