import type { Gateway } from '@ambient-lab/api'
import {
  type DumpFilter,
  parseZtunnelDump,
  SECTIONS,
  type SectionName,
  sectionJson,
  sectionText,
  waypointListText,
} from '@ambient-lab/lab'
import { sameText } from '../expectation.ts'
import { type CorpusCase, defineJudge, type JudgeContext, skipped, type Verdict } from '../judge.ts'

export interface IstioctlCase extends CorpusCase {
  /** `istioctl ztunnel-config workloads -o json`. */
  readonly command: string
  /** File of the dump. */
  readonly input?: string
  readonly filter?: DumpFilter
  readonly gateways?: readonly Gateway[]
  /** File of the text. */
  readonly expected: string
}

/** What istioctl prints about ztunnels and waypoints, to the letter. */
export default defineJudge<IstioctlCase>({
  corpus: 'istioctl-output',
  judge(item, context) {
    const want = context.folder.text(item.expected)
    if (item.gateways) return sameText(waypointListText(item.gateways, listedNamespace(item.command)), want)
    return judgeZtunnelConfig(item, context, want)
  },
})

/** `… (namespace default)`, which -A overrides. */
function listedNamespace(command: string): string | undefined {
  return / -A\b/.test(command) ? undefined : /\(namespace (\S+)\)/.exec(command)?.[1]
}

const SECTION_OF: Readonly<Record<string, SectionName>> = {
  workloads: 'workload',
  services: 'service',
  policies: 'policy',
  certificates: 'certificate',
  connections: 'connections',
}

function judgeZtunnelConfig(item: IstioctlCase, { folder }: JudgeContext, want: string): Verdict {
  const [, word = '', json] = /^istioctl ztunnel-config (\S+)( -o json)?$/.exec(item.command) ?? []
  const name = SECTION_OF[word]
  if (!name || item.input === undefined) return skipped(`no judge for command "${item.command}"`)
  const dump = parseZtunnelDump(folder.text(item.input), item.input)
  const section = SECTIONS[name](dump, item.filter ?? {}, Date.now())
  return sameText(json ? sectionJson(section) : sectionText(section), want)
}
