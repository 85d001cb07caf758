import type { IncomingMessage } from 'node:http'
import { parseYaml } from '@ambient-lab/api'
import { BODY_BYTES_MAX, BODY_DEPTH_MAX } from './limits.ts'
import { decodeProtobuf, PROTOBUF_TYPE } from './protobuf/decode.ts'
import { badRequest, bodyTooLarge, unsupportedMediaType } from './status-error.ts'

export const JSON_TYPE = 'application/json'
export const YAML_TYPE = 'application/yaml'

/** What one whole object may come as. */
export const OBJECT_TYPES = [JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE] as const

/** `application/json; charset=utf-8` → `application/json`; empty when there is none. */
export function mediaTypeOf(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

/**
 * The whole body.
 * @throws StatusError 413 as soon as it is known to be too long; the rest is left unread
 */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const tooLarge = () => {
      request.pause()
      reject(bodyTooLarge(BODY_BYTES_MAX))
    }
    if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) return tooLarge()
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > BODY_BYTES_MAX) tooLarge()
      else chunks.push(chunk)
    })
    request.once('end', () => resolve(Buffer.concat(chunks, length)))
    request.once('error', reject)
  })
}

/**
 * @param accepted media types in the order in which the refusal names them; an absent type is taken for the first
 * @throws StatusError 415
 */
export function checkMediaType(contentType: string | undefined, accepted: readonly string[]): string {
  const type = mediaTypeOf(contentType) || accepted[0]!
  if (!accepted.includes(type)) throw unsupportedMediaType(accepted)
  return type
}

/**
 * A body as a value that is safe to walk: bounded in depth, and without keys that JavaScript would take for a prototype.
 * @throws StatusError 400
 */
export async function parseBody(body: Buffer, mediaType: string): Promise<unknown> {
  const value = await decode(body, mediaType)
  checkShape(value)
  return value
}

function decode(body: Buffer, mediaType: string): unknown {
  if (mediaType === PROTOBUF_TYPE) return decodeProtobuf(body)
  const text = body.toString()
  return mediaType.endsWith('yaml') ? readYaml(text) : parseJson(text)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw badRequest(`the object provided is not valid JSON: ${(error as Error).message}`)
  }
}

/** kubectl sends JSON under YAML's name, which is faster to read as what it is. */
async function readYaml(text: string): Promise<unknown> {
  if (/^\s*[{[]/.test(text)) {
    try {
      return JSON.parse(text)
    } catch {
      // flow style YAML begins like JSON
    }
  }
  try {
    return await parseYaml(text)
  } catch (error) {
    throw badRequest(`the object provided is not valid YAML: ${(error as Error).message}`)
  }
}

/** Walks with its own stack: the body may be nested more deeply than ours. */
function checkShape(root: unknown): void {
  const pending: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }]
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { value, depth } = next
    if (typeof value !== 'object' || value === null) continue
    if (depth >= BODY_DEPTH_MAX) throw badRequest(`the object is nested more than ${BODY_DEPTH_MAX} levels deep`)
    if (Object.hasOwn(value, '__proto__')) throw badRequest('the object has a field named "__proto__"')
    for (const child of Object.values(value)) {
      if (typeof child === 'object') pending.push({ value: child, depth: depth + 1 })
    }
  }
}

export type JsonObject = Readonly<Record<string, unknown>>

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
