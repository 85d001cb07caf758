import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ApiClient, LabFolder } from '@ambient-lab/lab'
import { assert, type Clock, type Random } from '@ambient-lab/std'
import type { CommandContext } from './command.ts'
import type { FlagValues } from './flag-values.ts'
import type { Io } from './io.ts'
import type { Parsed } from './parse.ts'
import type { RunInit } from './run.ts'

/** A context that opens the lab and its API only when the command asks, and closes them at its end. */
export function createContext(parts: {
  init: RunInit
  parsed: Parsed
  flags: FlagValues
  io: Io
  clock: Clock
  random: Random
}): CommandContext & Disposable {
  const { init, parsed, flags, io, clock, random } = parts
  const { command, args, rest } = parsed
  assert(command, 'a context belongs to a command')
  const home = labsHome(init.env)
  let lab: Promise<LabFolder> | undefined
  let api: Promise<ApiClient> | undefined
  let client: ApiClient | undefined
  const context: CommandContext & Disposable = {
    command,
    flags,
    args,
    rest,
    io,
    clock,
    random,
    home,
    env: init.env,
    cwd: init.cwd,
    signal: init.signal,
    commands: init.commands,
    lab: () => {
      lab ??= import('@ambient-lab/lab').then(({ chooseLab }) => {
        const name = flags.text('lab')
        return chooseLab({ home, cwd: init.cwd, ...(name === undefined ? {} : { name }) })
      })
      return lab
    },
    api: () => {
      api ??= openApi(context, flags.text('context')).then((opened) => {
        client = opened
        return opened
      })
      return api
    },
    [Symbol.dispose]: () => client?.[Symbol.dispose](),
  }
  return context
}

async function openApi(context: CommandContext, kubeconfig: string | undefined): Promise<ApiClient> {
  const { ApiClient } = await import('@ambient-lab/lab')
  const onWarning = (text: string) => context.io.warn(text)
  const path = kubeconfig ?? (await context.lab()).kubeconfig
  return ApiClient.fromKubeconfig(path, { onWarning, components: context })
}

/** As libs/lab has it, without loading that for commands which need no lab. */
function labsHome(env: CommandContext['env']): string {
  if (env.AMBIENT_HOME) return env.AMBIENT_HOME
  return join(env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'ambient')
}
