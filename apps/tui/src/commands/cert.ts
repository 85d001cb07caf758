import type { RootRotationStep } from '@ambient-lab/api'
import { type Command, defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DOCUMENT_FLAG, NAMESPACE_FLAG, NAMESPACE_FLAGS, OUTPUT_FLAGS, TIMEOUT_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

const list: Command = {
  name: 'list',
  aliases: ['ls'],
  summary: 'certificates of workloads and proxies, and the root that each leads to',
  group: 'resources',
  flags: [...NAMESPACE_FLAGS, DOCUMENT_FLAG],
  examples: [
    { line: 'ambient cert list', says: 'of namespace default' },
    { line: 'ambient cert list -A', says: 'of all' },
    { line: 'ambient cert list -A -o json', says: 'for scripts' },
  ],
  exits: ['unavailable'],
  async run(context) {
    const { certificateRows, formatCertificates } = await import('../tasks/certificates.ts')
    const rows = await certificateRows(context, await context.api())
    const isJson = context.flags.word('output') === 'json'
    const document = { schema: 'ambient.lab/certificates/1', items: rows }
    context.io.answer(isJson ? `${JSON.stringify(document, null, 2)}\n` : formatCertificates(rows))
    return exitCode('ok')
  },
}

const roots: Command = {
  name: 'roots',
  summary: 'what the mesh trusts: which root signs, and how many still lead to each',
  group: 'resources',
  flags: OUTPUT_FLAGS,
  examples: [
    { line: 'ambient cert roots', says: 'one in calm times, two while the root is rotated' },
    { line: 'ambient cert roots -o json', says: 'for scripts' },
  ],
  exits: ['unavailable'],
  async run(context) {
    const { printList } = await import('../tasks/print-list.ts')
    return printList(context, 'trustroots')
  },
}

const STEPS: Readonly<Record<string, RootRotationStep>> = { trust: 'Trust', sign: 'Sign', retire: 'Retire' }

const DONE: Readonly<Record<RootRotationStep, string>> = {
  Trust: 'a new root is trusted beside the old one',
  Sign: 'the new root signs, and certificates are replaced',
  Retire: 'no other root is trusted any more',
}

const rotate: Command = {
  name: 'rotate',
  summary: 'replace the root of the mesh, in three steps that fail no connection',
  group: 'resources',
  usage: '--root',
  flags: [
    { name: 'root', kind: 'boolean', summary: 'the root; certificates of workloads are replaced by themselves' },
    {
      name: 'step',
      kind: 'text',
      value: 'STEP',
      choices: Object.keys(STEPS),
      summary: 'only this one; else all, each as soon as it cuts nobody off',
    },
    { name: 'force', kind: 'boolean', summary: 'although somebody is cut off' },
    TIMEOUT_FLAG,
  ],
  examples: [
    { line: 'ambient cert rotate --root', says: 'all of it; goes on where an interrupted one ended' },
    { line: 'ambient cert rotate --root --step trust', says: 'the new root is trusted, the old one signs' },
    { line: 'ambient cert rotate --root --step retire', says: 'the old one is trusted no longer' },
  ],
  exits: ['unavailable', 'try later'],
  notes:
    'The state is the Secret cacerts in istio-system, as with istiod: kubectl can do the same with certificates of your own.\nThe API’s certificate, kubeconfigs and nodes are of the lab’s own authority and stay as they are.',
  async run(context) {
    const { flags, io } = context
    if (!flags.boolean('root')) {
      throw usageError(
        'rotate what? certificates of workloads are replaced by themselves',
        'ambient cert rotate --root',
      )
    }
    const { rotateRoot } = await import('../tasks/certificates.ts')
    const client = await context.api()
    const only = flags.text('step')
    for (const step of only === undefined ? Object.values(STEPS) : [STEPS[only]!]) {
      const { status } = await rotateRoot(context, client, step)
      io.answer(`${step.toLowerCase()}: ${DONE[step]} (${status?.trusted.join(', ')}; ${status?.signing} signs)\n`)
    }
    return exitCode('ok')
  },
}

const revoke: Command = {
  name: 'revoke',
  summary: 'take the certificates of pods back: what stands with them is closed',
  group: 'resources',
  usage: 'POD…',
  takes: [1, 50],
  completes: ['pod'],
  flags: [NAMESPACE_FLAG],
  examples: [
    { line: 'ambient cert revoke reviews-v1-5d8', says: 'peers refuse it until it gets another one' },
    { line: 'ambient cert revoke pod/a pod/b -n shop', says: 'two' },
  ],
  exits: ['nothing', 'unavailable'],
  notes:
    'The list is ca-crl.pem of the Secret cacerts in istio-system, and ConfigMap istio-ca-crl of every namespace, as with\nistiod. A pod presents another certificate at half-life of the old one, or when it is started again.',
  async run(context) {
    const { revokeCertificates } = await import('../tasks/certificates.ts')
    const serialNumbers = await revokeCertificates(context, await context.api())
    for (const [index, serial] of serialNumbers.entries()) {
      context.io.answer(`${context.args[index]} revoked: ${serial}\n`)
    }
    return exitCode('ok')
  },
}

export default defineCommand({
  name: 'cert',
  aliases: ['certs'],
  summary: 'certificates of the mesh: who holds which, whom to trust, and what was taken back',
  group: 'resources',
  verbs: [list, roots, rotate, revoke],
  examples: [
    { line: 'ambient cert list -A', says: 'who holds what' },
    { line: 'ambient cert roots', says: 'who is trusted' },
    { line: 'ambient cert rotate --root', says: 'another root, and nothing fails' },
  ],
})
