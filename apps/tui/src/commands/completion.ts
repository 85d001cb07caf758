import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { usageError } from '../cli/usage-error.ts'

/** Each asks the hidden command `complete` for lines of `word<TAB>description`. */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_ambient() {
  local IFS=$'\\n' current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=($(ambient complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _ambient ambient
`,
  zsh: `#compdef ambient
_ambient() {
  local -a found
  local line
  for line in "\${(@f)$(ambient complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( \${#found} )); then _describe 'ambient' found; else _files; fi
}
compdef _ambient ambient
`,
  fish: `function __ambient_complete
  set -l words (commandline -opc) (commandline -ct)
  ambient complete -- $words[2..-1] 2>/dev/null
end
complete -c ambient -f -a '(__ambient_complete)'
`,
}

export default defineCommand({
  name: 'completion',
  summary: 'the script that completes commands, flags and live names in your shell',
  group: 'other',
  usage: 'bash|zsh|fish',
  takes: [1, 1],
  examples: [
    { line: 'ambient completion bash', says: 'source <(ambient completion bash)' },
    { line: 'ambient completion zsh', says: 'source <(ambient completion zsh)' },
    { line: 'ambient completion fish', says: 'ambient completion fish | source' },
  ],
  async run({ args, io }) {
    const script = SCRIPTS[args[0]!]
    if (script === undefined)
      throw usageError(`there is no completion for "${args[0]}"`, `one of: ${Object.keys(SCRIPTS).join(', ')}`)
    io.answer(script)
    return exitCode('ok')
  },
})
