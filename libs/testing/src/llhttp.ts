/** One message as llhttp read it. */
export interface LlhttpMessage {
  /** Of a request `GET /path`, of a response `200 OK`. */
  readonly line: string
  /** Names in lower case, values without white space around them. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  /** Where the message ends in the input; undefined when it did not. */
  readonly end: number | undefined
}

export interface LlhttpResult {
  readonly messages: readonly LlhttpMessage[]
  /** `HPE_…` */
  readonly error: string | undefined
  /** Where another protocol begins, behind an upgrade or a CONNECT. */
  readonly switchedAt: number | undefined
}

/** The part of Node's binding that is used; it has no declaration, and is the only way to llhttp without a socket. */
interface HttpParser {
  initialize(type: number, resource: object, headerBytesMax: number, lenient: number): void
  execute(bytes: Uint8Array): number | (Error & { code: string })
  finish(): undefined | (Error & { code: string })
  [callback: number]: unknown
}

interface HttpParserClass {
  new (): HttpParser
  readonly REQUEST: number
  readonly RESPONSE: number
  readonly kOnHeaders: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
}

const HEADER_BYTES_MAX = 64 * 1024
const STRICT = 0
/** What a callback returns for llhttp to go on: also after a request to upgrade it reads the body first. */
const GO_ON = 0

/**
 * Reads `input` byte by byte with the llhttp of this Node, as strict as it comes: the oracle that our own decoders are
 * compared with. Responses are taken for answers to GET.
 * @param isEnded whether the peer closes behind it
 */
export function readWithLlhttp(
  direction: 'request' | 'response',
  input: Uint8Array,
  options: { readonly isEnded?: boolean } = {},
): LlhttpResult {
  return new Reader(direction).read(input, options.isEnded ?? false)
}

class Reader {
  readonly #parser: HttpParser
  readonly #messages: { line: string; headers: [string, string][]; body: string; end: number | undefined }[] = []
  #fields: string[] = []
  #url = ''
  #at = 0
  #switchedAt: number | undefined

  constructor(direction: 'request' | 'response') {
    const { HTTPParser, methods } = httpCommon()
    this.#parser = new HTTPParser()
    const parser = this.#parser
    const type = direction === 'request' ? HTTPParser.REQUEST : HTTPParser.RESPONSE
    parser.initialize(type, {}, HEADER_BYTES_MAX, STRICT)
    // Heads of many fields come in parts; behind a body they are trailers, which nobody asks for here.
    parser[HTTPParser.kOnHeaders] = (fields: string[], url: string) => {
      this.#fields.push(...fields)
      this.#url += url
    }
    parser[HTTPParser.kOnHeadersComplete] = (
      _major: number,
      _minor: number,
      fields: string[] | undefined,
      method: number,
      url: string | undefined,
      status: number,
      reason: string,
      upgrade: boolean,
    ) => {
      this.#fields.push(...(fields ?? []))
      const line =
        direction === 'request' ? `${methodName(methods, method)} ${this.#url}${url ?? ''}` : `${status} ${reason}`
      this.#messages.push({ line, headers: pairs(this.#fields), body: '', end: undefined })
      this.#fields = []
      this.#url = ''
      if (upgrade) this.#switchedAt = this.#at
      return GO_ON
    }
    parser[HTTPParser.kOnBody] = (piece: Uint8Array) => {
      this.#messages.at(-1)!.body += Buffer.from(piece).toString('latin1')
    }
    parser[HTTPParser.kOnMessageComplete] = () => {
      this.#fields = []
      this.#url = ''
      this.#messages.at(-1)!.end = this.#at
      if (this.#switchedAt !== undefined) this.#switchedAt = this.#at
    }
  }

  read(input: Uint8Array, isEnded: boolean): LlhttpResult {
    for (let at = 0; at < input.length && !this.#isSwitched(); at += 1) {
      this.#at = at + 1
      const outcome = this.#parser.execute(input.subarray(at, at + 1))
      if (typeof outcome !== 'number') return this.#result(outcome.code)
    }
    return this.#result(isEnded && !this.#isSwitched() ? this.#parser.finish()?.code : undefined)
  }

  #isSwitched(): boolean {
    return this.#switchedAt !== undefined && this.#messages.at(-1)?.end !== undefined
  }

  #result(error: string | undefined): LlhttpResult {
    return { messages: this.#messages, error, switchedAt: this.#isSwitched() ? this.#switchedAt : undefined }
  }
}

function pairs(fields: readonly string[]): [string, string][] {
  const list: [string, string][] = []
  for (let at = 0; at < fields.length; at += 2) {
    list.push([fields[at]!.toLowerCase(), fields[at + 1]!.replace(/[ \t]+$/, '')])
  }
  return list
}

/** Node's list leaves out the methods of RTSP, between the others and llhttp's 46. */
function methodName(methods: readonly string[], method: number): string | undefined {
  return method === 46 ? 'QUERY' : methods[method]
}

function httpCommon(): { HTTPParser: HttpParserClass; methods: readonly string[] } {
  return process.getBuiltinModule('_http_common') as unknown as ReturnType<typeof httpCommon>
}
