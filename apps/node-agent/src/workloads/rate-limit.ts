import { CodedError, errorMessage } from '@ambient-lab/std'
import {
  type AppReply,
  type AppRequest,
  defineWorkload,
  text,
  type WorkloadApp,
  type WorkloadContext,
} from '../hosting/workload.ts'
import { type GrpcFault, GrpcStatus, isGrpc, serveUnary, type UnaryMethod } from './_grpc.ts'
import { RateLimitConfig } from './_rate-limit-config.ts'
import { decodeRequest, encodeResponse, formatJsonResponse, parseJsonRequest } from './_rate-limit-messages.ts'
import { RateLimitService } from './_rate-limit-service.ts'

const HTTP_PORT = 8080
const GRPC_PORT = 8081
const DEBUG_PORT = 6070
const SHOULD_RATE_LIMIT = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit'
const HEALTH_CHECK = '/grpc.health.v1.Health/Check'
/** `HealthCheckResponse { status: SERVING }`. */
const SERVING = Buffer.from([8, 1])
const RUNTIME_ROOT_DEFAULT = '/srv/runtime_data/current'
const DEBUG_HELP = '/rlconfig: print out the currently loaded configuration for debugging\n/stats: print out stats\n'

/**
 * Envoy's reference rate limit service: gRPC on 8081, `/healthcheck` and `/json` on 8080, `/rlconfig` and `/stats` on
 * 6070. It reads the YAML of its descriptors from where its variables say, follows it, and counts in memory.
 * @see https://github.com/envoyproxy/ratelimit
 */
export default defineWorkload({
  name: 'rate-limit',
  images: ['envoyproxy/ratelimit'],
  ports: () => [HTTP_PORT, GRPC_PORT, DEBUG_PORT],
  create: (context) => new RateLimitApp(context),
})

class RateLimitApp implements WorkloadApp {
  readonly http2 = true
  readonly #methods: Readonly<Record<string, UnaryMethod>> = {
    [HEALTH_CHECK]: () => SERVING,
    [SHOULD_RATE_LIMIT]: (message) => this.#shouldRateLimit(message),
  }
  readonly #context: WorkloadContext
  readonly #service: RateLimitService
  #loading: Promise<void>

  constructor(context: WorkloadContext) {
    const { clock, env, files } = context
    this.#context = context
    this.#service = new RateLimitService(
      { clock },
      {
        shadowMode: isTrue(env.SHADOW_MODE),
        ...(isTrue(env.LIMIT_RESPONSE_HEADERS_ENABLED) && {
          headerNames: [
            env.LIMIT_LIMIT_HEADER ?? 'RateLimit-Limit',
            env.LIMIT_REMAINING_HEADER ?? 'RateLimit-Remaining',
            env.LIMIT_RESET_HEADER ?? 'RateLimit-Reset',
          ],
        }),
      },
    )
    this.#loading = this.#load()
    files.onChange(() => {
      this.#loading = this.#loading.then(() => this.#load())
    })
  }

  async http(request: AppRequest): Promise<AppReply> {
    await this.#loading
    if (isGrpc(request)) return serveUnary(request, this.#methods)
    if (request.port === DEBUG_PORT) return this.#answerDebug(request)
    if (request.path === '/healthcheck') return this.#isHealthy() ? text(200, 'OK') : text(500, '')
    return request.path === '/json' ? this.#answerJson(request) : text(404, '404 page not found\n')
  }

  /** A configuration that cannot be used leaves the last one in force. */
  async #load(): Promise<void> {
    const { env, log } = this.#context
    try {
      this.#service.use(await RateLimitConfig.parse(this.#configFiles(), isTrue(env.MERGE_DOMAIN_CONFIG)))
      log('level=info msg="Successfully loaded new configuration"')
    } catch (error) {
      if (!CodedError.is(error, 'RATE_LIMIT_CONFIG_INVALID')) throw error
      this.#service.stats.count('config_load_error')
      log(`level=error msg=${JSON.stringify(`Error loading new configuration: ${error.message}`)}`)
    }
  }

  /** As goruntime names them: the path in the folder, with dots for slashes. */
  #configFiles(): ReadonlyMap<string, string> {
    const { env, files } = this.#context
    const folder = env.RUNTIME_APPDIRECTORY ?? 'config'
    const path = [env.RUNTIME_ROOT ?? RUNTIME_ROOT_DEFAULT, env.RUNTIME_SUBDIRECTORY ?? '', folder]
      .filter(Boolean)
      .join('/')
    const prefix = isTrue(env.RUNTIME_WATCH_ROOT ?? 'true') ? `${folder}.` : ''
    const found = [...files.below(path)].filter(([name]) => !isTrue(env.RUNTIME_IGNOREDOTFILES) || !isHidden(name))
    return new Map(found.map(([name, bytes]) => [prefix + name.replaceAll('/', '.'), bytes.toString('utf8')]))
  }

  #isHealthy(): boolean {
    const needsConfig = isTrue(this.#context.env.HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED)
    return !needsConfig || (this.#service.config?.domainCount ?? 0) > 0
  }

  #shouldRateLimit(message: Uint8Array): Uint8Array | GrpcFault {
    const response = this.#service.shouldRateLimit(decodeRequest(message))
    return typeof response === 'string' ? { status: GrpcStatus.unknown, text: response } : encodeResponse(response)
  }

  async #answerJson(request: AppRequest): Promise<AppReply> {
    try {
      const response = this.#service.shouldRateLimit(parseJsonRequest((await request.body()).toString('utf8')))
      if (typeof response === 'string') throw new CodedError('JSON_MALFORMED', response)
      const status = response.isOverLimit ? 429 : 200
      return { ...text(status, formatJsonResponse(response)), headers: { 'content-type': 'application/json' } }
    } catch (error) {
      if (!CodedError.is(error, 'JSON_MALFORMED') && !CodedError.is(error, 'PROTOBUF_MALFORMED')) throw error
      this.#context.log(`level=warning msg=${JSON.stringify(`error: ${errorMessage(error)}`)}`)
      return text(400, 'Bad Request\n')
    }
  }

  #answerDebug({ path }: AppRequest): AppReply {
    if (path === '/rlconfig') return text(200, this.#service.config?.dump() ?? '')
    if (path === '/stats') return text(200, this.#service.stats.dump())
    return path === '/' ? text(200, DEBUG_HELP) : text(404, '404 page not found\n')
  }
}

/** As Go reads a boolean. */
function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(1|t|true)$/i.test(value)
}

function isHidden(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.'))
}
