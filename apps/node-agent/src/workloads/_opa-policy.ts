import { CodedError } from '@ambient-lab/std'
import type { OpaBundle } from './_opa-bundle.ts'
import type * as libraries from './_opa-libraries.ts'

/** A compiled policy and the one decision that it is asked for. */
export class OpaPolicy {
  readonly #policy: Awaited<ReturnType<typeof libraries.loadPolicy>>
  readonly #entrypoint: number

  private constructor(policy: Awaited<ReturnType<typeof libraries.loadPolicy>>, entrypoint: number) {
    this.#policy = policy
    this.#entrypoint = entrypoint
  }

  /** @throws CodedError OPA_BUNDLE_INVALID for a policy that was compiled without that entry point, or is none */
  static async load(
    { wasm, data }: OpaBundle,
    decision: string,
    { loadPolicy }: Pick<typeof libraries, 'loadPolicy'>,
  ): Promise<OpaPolicy> {
    // It wants the ArrayBuffer of the policy alone.
    const policy = await loadPolicy(Uint8Array.from(wasm).buffer).catch((cause: unknown) => {
      throw new CodedError('OPA_BUNDLE_INVALID', 'opa: the policy is no WebAssembly of OPA', { cause })
    })
    policy.setData(data)
    const entrypoint = policy.entrypoints[decision]
    if (entrypoint !== undefined) return new OpaPolicy(policy, entrypoint)
    const known = Object.keys(policy.entrypoints).join(', ')
    throw new CodedError('OPA_BUNDLE_INVALID', `opa: the policy has no entry point ${decision}, but ${known}`)
  }

  /**
   * @returns the decision, undefined where no rule decides
   * @throws what the evaluation fails with: a conflict of rules, a built-in function that is not there
   */
  decide(input: unknown): unknown {
    const results: readonly { readonly result: unknown }[] = this.#policy.evaluate(input, this.#entrypoint)
    return results[0]?.result
  }
}
