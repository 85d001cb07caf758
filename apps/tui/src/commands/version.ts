import { CodedError } from '@ambient-lab/std'
import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DOCUMENT_FLAG } from '../cli/global-flags.ts'
import { sameMinor, VERSION } from '../version.ts'

export default defineCommand({
  name: 'version',
  summary: 'the versions of this program and of the lab',
  group: 'other',
  flags: [{ name: 'client', kind: 'boolean', summary: 'this program only; asks nobody' }, DOCUMENT_FLAG],
  examples: [
    { line: 'ambient version', says: 'both; exit 76 when they do not fit' },
    { line: 'ambient version --client', says: 'this program' },
    { line: 'ambient version -o json', says: 'for scripts' },
  ],
  exits: ['unavailable', 'protocol'],
  async run(context) {
    const { flags, io } = context
    const json = flags.word('output') === 'json'
    if (flags.boolean('client')) {
      io.answer(json ? `${JSON.stringify({ client: VERSION })}\n` : `client ${VERSION}\n`)
      return exitCode('ok')
    }
    const server = await serverVersion(context)
    io.answer(json ? `${JSON.stringify({ client: VERSION, server })}\n` : `client ${VERSION}\nserver ${server}\n`)
    if (sameMinor(VERSION, server)) return exitCode('ok')
    throw new CodedError('VERSION_MISMATCH', `this program is ${VERSION}, the lab runs ${server}`, {
      next: 'ambient down && ambient up, both with one version',
    })

    async function serverVersion({ api, signal }: typeof context): Promise<string> {
      const client = await api()
      const answer = (await client.raw('GET', '/version', { signal })) as { gitVersion?: string }
      // `v1.34.0+ambient-lab.0.1.0`: the Kubernetes version that kubectl wants to see, then ours
      return /ambient-lab\.(.+)$/.exec(answer.gitVersion ?? '')?.[1] ?? answer.gitVersion ?? 'unknown'
    }
  },
})
