import type { Clock, Random } from '@ambient-lab/std'
import type { LocalRateLimit } from '@ambient-lab/xds'
import { TokenBucket } from '../../token-bucket.ts'
import { defineHttpFilter, type FilterStatus, type HttpFilter } from '../filter.ts'
import type { HttpResponse, HttpStream } from '../http-stream.ts'
import { LOCAL_REPLIES } from '../local-replies.ts'
import { compileDescriptor, type DescriptorOf, type FilledEntry, matchesDescriptor } from '../rate-limit-descriptors.ts'
import { type CompiledHeaderMutation, compileHeaderMutation } from '../router/header-mutation.ts'
import type { CompilePattern } from '../router/matchers.ts'

/** Buckets for values that a client chooses: the oldest go when there are more. */
const VALUE_BUCKETS_MAX = 10_000

/** Refuses requests when a bucket of this proxy is empty. */
export default defineHttpFilter({
  name: 'local-rate-limit',
  phase: 'limit',
  create({ route, clock, random, compilePattern }) {
    const config = route?.filters?.['local-rate-limit']
    if (!config) return undefined
    const limiter = new Limiter({ clock, random, compilePattern }, config)
    const connections = new WeakMap<object, Limiter>()
    return (stream) => {
      if (!isDrawn(config.enabledMillionths, random)) return undefined
      if (!config.perDownstreamConnection) return new LocalLimit(limiter)
      // A peer stands for its connection: each has its own.
      let own = connections.get(stream.peer)
      if (!own) {
        own = new Limiter({ clock, random, compilePattern }, config)
        connections.set(stream.peer, own)
      }
      return new LocalLimit(own)
    }
  },
})

function isDrawn(millionths: number, random: Random): boolean {
  return millionths >= 1_000_000 || random.integer(1_000_000) < millionths
}

/** The buckets of one route. */
class Limiter {
  readonly config: LocalRateLimit
  readonly responseHeaders: CompiledHeaderMutation | undefined
  readonly #clock: Clock
  readonly #random: Random
  readonly #bucket: TokenBucket
  readonly #descriptorOf: DescriptorOf
  readonly #byDescriptor = new Map<string, TokenBucket>()

  constructor(
    components: { readonly clock: Clock; readonly random: Random; readonly compilePattern: CompilePattern },
    config: LocalRateLimit,
  ) {
    this.config = config
    this.responseHeaders = compileHeaderMutation(config.responseHeaders)
    this.#clock = components.clock
    this.#random = components.random
    this.#bucket = new TokenBucket(components, config.bucket)
    this.#descriptorOf = compileDescriptor(config.actions, components.compilePattern)
  }

  get isEnforced(): boolean {
    return isDrawn(this.config.enforcedMillionths, this.#random)
  }

  /** A request's own bucket where its descriptor has one; the common one otherwise. */
  bucketOf(stream: HttpStream): TokenBucket {
    const { descriptors, actions } = this.config
    const filled = actions.length > 0 ? this.#descriptorOf(stream) : undefined
    const configured = filled && descriptors.find(({ entries }) => matchesDescriptor(entries, filled))
    return configured ? this.#own(filled, configured.bucket) : this.#bucket
  }

  #own(filled: readonly FilledEntry[], config: LocalRateLimit['bucket']): TokenBucket {
    const key = JSON.stringify(filled)
    let bucket = this.#byDescriptor.get(key)
    if (bucket) return bucket
    for (const oldest of this.#byDescriptor.keys()) {
      if (this.#byDescriptor.size < VALUE_BUCKETS_MAX) break
      this.#byDescriptor.delete(oldest)
    }
    bucket = new TokenBucket({ clock: this.#clock }, config)
    this.#byDescriptor.set(key, bucket)
    return bucket
  }
}

class LocalLimit implements HttpFilter {
  readonly #limiter: Limiter
  #bucket: TokenBucket | undefined
  #isRefused = false

  constructor(limiter: Limiter) {
    this.#limiter = limiter
  }

  decodeHeaders(stream: HttpStream): FilterStatus {
    this.#bucket = this.#limiter.bucketOf(stream)
    if (this.#bucket.take() || !this.#limiter.isEnforced) return 'continue'
    this.#isRefused = true
    const { status } = this.#limiter.config
    stream.localReply(LOCAL_REPLIES.RATE_LIMITED_LOCAL, status === undefined ? {} : { status })
    return 'stop'
  }

  encodeHeaders(stream: HttpStream, { headers }: HttpResponse): FilterStatus {
    if (this.#isRefused) this.#limiter.responseHeaders?.apply(headers, stream.record)
    if (this.#limiter.config.rateLimitHeaders && this.#bucket) {
      headers.set('x-ratelimit-limit', String(this.#bucket.limit))
      headers.set('x-ratelimit-remaining', String(this.#bucket.remaining))
      headers.set('x-ratelimit-reset', String(this.#bucket.resetSeconds))
    }
    return 'continue'
  }
}
