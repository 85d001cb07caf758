import { assert } from './errors.ts'

export type Disposer = () => void | PromiseLike<void>

/**
 * Owns what it was given and disposes it in reverse order, waiting for each. Disposing twice is fine and waits for
 * the first; adding to a disposed scope is a bug.
 */
export class Scope implements AsyncDisposable {
  readonly #name: string
  readonly #disposers: Disposer[] = []
  #disposal: Promise<void> | undefined

  constructor(name: string) {
    this.#name = name
  }

  get disposed(): boolean {
    return this.#disposal !== undefined
  }

  /** Takes ownership of a disposable and returns it. */
  own<T extends AsyncDisposable | Disposable>(child: T): T {
    this.defer(() => (Symbol.asyncDispose in child ? child[Symbol.asyncDispose]() : child[Symbol.dispose]()))
    return child
  }

  defer(dispose: Disposer): void {
    assert(!this.disposed, `scope ${this.#name} is already disposed`)
    this.#disposers.push(dispose)
  }

  /** @throws AggregateError when children failed to dispose; the others are disposed all the same */
  dispose(): Promise<void> {
    this.#disposal ??= this.#disposeAll()
    return this.#disposal
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  async #disposeAll(): Promise<void> {
    const errors: unknown[] = []
    for (let dispose = this.#disposers.pop(); dispose; dispose = this.#disposers.pop()) {
      try {
        await dispose()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `disposing ${this.#name}`)
  }
}
