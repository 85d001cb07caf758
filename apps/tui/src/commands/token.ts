import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { NAMESPACE_FLAG } from '../cli/global-flags.ts'

export default defineCommand({
  name: 'token',
  summary: 'a token about anybody, from the lab’s identity provider',
  group: 'traffic',
  usage: '[PROVIDER]',
  takes: [0, 1],
  completes: ['pod'],
  flags: [
    { name: 'subject', kind: 'text', value: 'NAME', default: 'testing@secure.istio.io', summary: 'claim sub' },
    { name: 'audience', kind: 'text', value: 'NAME', summary: 'claim aud; else that of the provider' },
    { name: 'scope', kind: 'text', value: 'WORDS', default: '', summary: 'claim scope, space-delimited' },
    { name: 'claim', kind: 'list', value: 'NAME=VALUE', summary: 'more claims; VALUE may be JSON' },
    NAMESPACE_FLAG,
  ],
  examples: [
    { line: 'ambient token', says: 'from deploy/oidc in namespace default' },
    {
      line: 'TOKEN=$(ambient token --subject alice --scope "read write" --claim groups=\'["admins"]\')',
      says: 'for curl',
    },
    { line: 'ambient token deploy/idp -n auth --audience reviews', says: 'another provider' },
  ],
  exits: ['nothing', 'unavailable'],
  notes:
    'The provider is any workload of image ambient-lab/oidc-provider (examples/end-users). Such tokens ask for no password:\nthey are for labs.',
  async run(context) {
    const { requestToken } = await import('../tasks/token.ts')
    context.io.answer(`${await requestToken(context)}\n`)
    return exitCode('ok')
  },
})
