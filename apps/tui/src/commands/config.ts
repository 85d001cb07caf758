import { type Command, defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'

const kubeconfig: Command = {
  name: 'kubeconfig',
  summary: 'the line that points kubectl, k9s and istioctl at the lab',
  group: 'other',
  flags: [{ name: 'path', kind: 'boolean', summary: 'the path alone' }],
  examples: [
    { line: 'ambient config kubeconfig', says: 'for eval "$(…)" in a shell' },
    { line: 'ambient config kubeconfig --path', says: 'for kubectl --kubeconfig' },
    { line: 'ambient config kubeconfig -L bookinfo', says: 'of another lab' },
  ],
  exits: ['unavailable'],
  async run(context) {
    const { kubeconfig: path } = await context.lab()
    context.io.answer(
      context.flags.boolean('path') ? `${path}\n` : `export KUBECONFIG='${path.replaceAll("'", "'\\''")}'\n`,
    )
    return exitCode('ok')
  },
}

export default defineCommand({
  name: 'config',
  summary: 'settings for other programs',
  group: 'other',
  verbs: [kubeconfig],
  examples: [
    { line: 'ambient config kubeconfig', says: 'kubectl on the lab' },
    { line: 'ambient config kubeconfig --path', says: 'the file' },
    { line: 'ambient config kubeconfig -L bookinfo', says: 'of another lab' },
  ],
})
