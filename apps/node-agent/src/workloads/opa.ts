import { uuid } from '@ambient-lab/dataplane'
import { CodedError, errorMessage } from '@ambient-lab/std'
import {
  type AppReply,
  type AppRequest,
  defineWorkload,
  json,
  text,
  type WorkloadContext,
} from '../hosting/workload.ts'
import { type GrpcFault, GrpcStatus, isGrpc, serveUnary } from './_grpc.ts'
import { readOpaBundle } from './_opa-bundle.ts'
import { checkResponse, isAllowed, unreadableResponse } from './_opa-decision.ts'
import { type OpaInput, opaInput } from './_opa-input.ts'
import { OpaPolicy } from './_opa-policy.ts'
import { type OpaSettings, opaPorts, readOpaSettings } from './_opa-settings.ts'

const CHECK = '/envoy.service.auth.v3.Authorization/Check'

/**
 * The Open Policy Agent with its Envoy plugin: decides about requests by a policy in Rego that was compiled to WebAssembly.
 * It is started as OPA is (`run --server --set=plugins.envoy_ext_authz_grpc.path=… --bundle /policy/bundle.tar.gz`), and
 * finds the bundle in a volume. What the plugin does with an answer of its policy, this does: an undefined decision, a
 * conflict of rules and a decision of a wrong shape are errors of the call, so that the provider's `failOpen` decides.
 * @see https://www.openpolicyagent.org/docs/envoy
 */
export default defineWorkload({
  name: 'opa',
  images: ['openpolicyagent/opa'],
  ports: opaPorts,
  async create(context) {
    const [libraries, yaml] = await Promise.all([import('./_opa-libraries.ts'), import('./_yaml.ts')])
    const settings = readOpaSettings(context.container, context.files, yaml.parse)
    const bundle = await readOpaBundle(settings.paths, context.files)
    const policy = await OpaPolicy.load(bundle, settings.decision, libraries)
    const opa = new Opa(policy, settings, context)
    return { http2: true, http: (request) => opa.answer(request) }
  },
})

class Opa {
  readonly #policy: OpaPolicy
  readonly #settings: OpaSettings
  readonly #context: WorkloadContext

  constructor(policy: OpaPolicy, settings: OpaSettings, context: WorkloadContext) {
    this.#policy = policy
    this.#settings = settings
    this.#context = context
  }

  answer(request: AppRequest): AppReply | Promise<AppReply> {
    if (isGrpc(request)) return serveUnary(request, { [CHECK]: (message) => this.#check(message) })
    return request.path === '/health' ? json(200, {}) : text(404, '404 page not found\n')
  }

  #check(message: Uint8Array): Buffer | GrpcFault {
    const decisionId = uuid(this.#context.random)
    let input: OpaInput
    try {
      input = opaInput(message, this.#settings)
    } catch (error) {
      if (!CodedError.is(error, 'OPA_REQUEST_UNREADABLE')) throw error
      this.#log(decisionId, { error: errorMessage(error) })
      return unreadableResponse(errorMessage(error), { decisionId })
    }
    try {
      const result = this.#policy.decide(input)
      if (result === undefined) throw new CodedError('OPA_DECISION_UNDEFINED', 'undefined decision')
      const response = checkResponse(result, { decisionId })
      this.#log(decisionId, { input, result })
      const isOverruled = this.#settings.dryRun && !isAllowed(result)
      return isOverruled ? checkResponse({ allowed: true }, { decisionId }) : response
    } catch (error) {
      // Whatever an evaluation fails with is the policy's, and the caller's to know.
      this.#log(decisionId, { input, error: errorMessage(error) })
      return { status: GrpcStatus.unknown, text: errorMessage(error) }
    }
  }

  #log(decisionId: string, outcome: Readonly<Record<string, unknown>>): void {
    if (!this.#settings.logsDecisions) return
    const { clock, log } = this.#context
    const line = {
      decision_id: decisionId,
      ...outcome,
      labels: { id: this.#context.pod.name },
      level: 'info',
      msg: 'Decision Log',
      path: this.#settings.decision,
      timestamp: new Date(clock.now()).toISOString(),
      type: 'openpolicyagent.org/decision_logs',
    }
    log(JSON.stringify(line))
  }
}
