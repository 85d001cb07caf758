import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { queryText, resourcePath } from '@ambient-lab/lab'
import { CodedError, KiB, sleep } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { podsOf } from './pods.ts'
import { PODS } from './resource-types.ts'

/** How often a followed file is looked at; a log is for eyes. */
const FILE_POLL_MS = 100
const READ_BYTES = 64 * KiB

/** A pod's log through the API, as it is written when followed. */
export async function followPod(context: CommandContext, target: string): Promise<number> {
  const { flags, io, signal } = context
  const namespace = flags.word('namespace')
  const client = await context.api()
  const [pod] = await podsOf(client, namespace, target, signal)
  const path = resourcePath(PODS, { namespace, name: pod!.metadata.name, subresource: 'log' })
  const follow = flags.boolean('follow')
  const container = flags.text('container')
  const query = queryText({ follow, container, tailLines: flags.number('tail') })
  const stream = await client.stream(path + query, { signal })
  stream.setEncoding('utf8')
  for await (const chunk of stream as AsyncIterable<string>) io.answer(chunk)
  return exitCode('ok')
}

/**
 * A log file of this machine, the API not needed.
 * @throws CodedError NOT_FOUND when no such process ever ran here
 */
export async function followFile({ flags, io, clock, signal }: CommandContext, path: string): Promise<number> {
  if (!existsSync(path)) throw new CodedError('NOT_FOUND', `there is no ${path}`, { next: 'ambient lab inspect' })
  io.answer(lastLines(readFileSync(path, 'utf8'), flags.number('tail') ?? 0))
  if (!flags.boolean('follow')) return exitCode('ok')
  const file = openSync(path, 'r')
  const buffer = Buffer.alloc(READ_BYTES)
  let offset = fstatSync(file).size
  try {
    for (;;) {
      await sleep(clock, FILE_POLL_MS, signal)
      for (let length = readSync(file, buffer, 0, READ_BYTES, offset); length > 0; ) {
        io.answer(buffer.toString('utf8', 0, length))
        offset += length
        length = readSync(file, buffer, 0, READ_BYTES, offset)
      }
    }
  } finally {
    closeSync(file)
  }
}

/** The last `count` lines with their ends. Pure. */
export function lastLines(text: string, count: number): string {
  if (count <= 0) return ''
  const body = text.endsWith('\n') ? text.slice(0, -1) : text
  if (body === '') return ''
  return `${body.split('\n').slice(-count).join('\n')}\n`
}
