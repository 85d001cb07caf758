import { latin1, type Message } from './observe.ts'

/** One event of llhttp's own tests. */
export interface LlhttpEvent {
  readonly off?: number
  readonly len?: number
  readonly event?: string
  readonly span?: string
  readonly raw?: string
}

/** What llhttp read. */
export interface LlhttpReading {
  readonly messages: readonly Message[]
  /** Requests of HTTP/1.1 that have no Host, and where the request line of each ends. */
  readonly hostless: readonly { readonly index: number; readonly lineEnd: number }[]
  /** What `llhttp_finish` said. */
  readonly finish?: 'safe' | 'safe-with-callback' | 'unsafe'
}

/** Puts llhttp's events together to messages. */
export function readEvents(input: Uint8Array, events: readonly LlhttpEvent[]): LlhttpReading {
  const reader = new EventReader(input)
  for (const event of events) reader.take(event)
  return reader.reading()
}

class EventReader {
  readonly #input: Uint8Array
  readonly #messages: Message[] = []
  readonly #hostless: { index: number; lineEnd: number }[] = []
  #finish: LlhttpReading['finish']
  #line = ''
  #version = ''
  #lineEnd = 0
  #fields: [name: string, value: string][] = []

  constructor(input: Uint8Array) {
    this.#input = input
  }

  reading(): LlhttpReading {
    return {
      messages: this.#messages,
      hostless: this.#hostless,
      ...(this.#finish && { finish: this.#finish }),
    }
  }

  take({ off = 0, len = 0, event = '', span = '', raw = '' }: LlhttpEvent): void {
    const text = latin1(this.#input.subarray(off, off + len))
    if (span !== '') this.#takeSpan(span, text)
    else if (event.startsWith('span[body]')) this.#messages.at(-1)!.body += text
    else if (event === 'message begin') this.#begin()
    else if (event === 'version complete') this.#lineEnd = off + 2
    else if (event.startsWith('headers complete')) this.#takeHead(event, off)
    else if (event === 'message complete') this.#messages.at(-1)!.end = off
    const finish = /finish=(\d)/.exec(raw)?.[1]
    if (finish !== undefined) this.#finish = (['safe', 'safe-with-callback', 'unsafe'] as const)[Number(finish)]
  }

  #begin(): void {
    this.#line = ''
    this.#fields = []
  }

  #takeSpan(span: string, text: string): void {
    const field = this.#fields.at(-1)
    if (span === 'method') this.#line = text
    else if (span === 'url') this.#line += ` ${text}`
    else if (span === 'status') this.#line += text
    else if (span === 'version') this.#version = text
    else if (span === 'body') this.#messages.at(-1)!.body += text
    else if (span === 'header_field') this.#fields.push([text.toLowerCase(), ''])
    else if (span === 'header_value' && field) field[1] += text
  }

  #takeHead(event: string, headEnd: number): void {
    const status = /status=(\d+)/.exec(event)?.[1]
    const headers = this.#fields.map(([name, value]) => [name, canonical(name, value)] as const)
    const line = status === undefined ? this.#line : `${status} ${this.#line}`
    const trailers: [string, string][] = []
    this.#fields = trailers
    this.#messages.push({ line, headers, body: '', trailers, headEnd })
    if (status === undefined && this.#version === '1.1' && !headers.some(([name]) => name === 'host')) {
      this.#hostless.push({ index: this.#messages.length - 1, lineEnd: this.#lineEnd })
    }
  }
}

/** Without the white space at its end, which llhttp leaves to its user; a length as the number that it is. */
function canonical(name: string, value: string): string {
  const trimmed = value.replace(/[ \t]+$/, '')
  return name === 'content-length' ? String(Number(trimmed)) : trimmed
}
