import { SeededRandom } from '@ambient-lab/std'
import { expect, it } from 'vitest'
import type { HeaderMap } from './headers.ts'
import { mutatedRequests } from './mutated-messages.conformance.ts'
import { RequestDecoder, type RequestHead, type RequestSink } from './request-decoder.ts'

const RUNS = 300
const SEED = 7

/** Keeps pieces as it gets them, and looks at them when all is over. Now and then it makes its decoder wait. */
class Keeper implements RequestSink {
  readonly told: (string | Uint8Array[])[] = []
  waits = false
  pauseIf: () => boolean = () => false

  onHead(head: RequestHead): void {
    this.told.push(`${head.method} ${head.path} ${JSON.stringify([...head.headers])}`)
    this.waits ||= this.pauseIf()
  }

  onBody(piece: Uint8Array): void {
    const last = this.told.at(-1)
    // One text for a body, however it came, and made when nobody can write to it any more.
    if (Array.isArray(last)) last.push(piece)
    else this.told.push([piece])
    this.waits ||= this.pauseIf()
  }

  onTrailers(trailers: HeaderMap): void {
    this.told.push(JSON.stringify([...trailers]))
  }

  onMessageEnd(): void {
    this.told.push('end')
  }

  onError(error: { code: string }): void {
    this.told.push(error.code)
  }

  get text(): string[] {
    return this.told.map((item) => (Array.isArray(item) ? Buffer.concat(item).toString('latin1') : String(item)))
  }
}

it(`reads chunks that are overwritten as soon as they were pushed as it reads its own (seed ${SEED})`, () => {
  const random = new SeededRandom(SEED)
  for (let run = 0; run < RUNS; run += 1) {
    const input = Buffer.from(mutatedRequests(random.fork(`input ${run}`)), 'latin1')
    const [owned, borrowed] = [false, true].map((isBorrowed) => {
      const draws = random.fork(`cuts ${run}`)
      const keeper = new Keeper()
      const decoder = new RequestDecoder(keeper)
      keeper.pauseIf = () => {
        if (draws.next() > 0.2) return false
        decoder.pause()
        return true
      }
      for (let at = 0; at < input.length; ) {
        const bytes = Math.min(input.length - at, 1 + draws.integer(draws.next() < 0.5 ? 8 : 200))
        const chunk = Buffer.from(input.subarray(at, at + bytes))
        at += bytes
        if (isBorrowed) decoder.pushBorrowed(chunk)
        else decoder.push(chunk)
        if (isBorrowed) chunk.fill(0xff)
        if (!keeper.waits || draws.next() < 0.3) continue
        keeper.waits = false
        decoder.resume()
      }
      const rest = decoder.takeRest()
      return [...keeper.text, Buffer.concat(rest).toString('latin1')]
    })
    expect(borrowed, `run ${run}: ${JSON.stringify(input.toString('latin1'))}`).toEqual(owned)
  }
})
