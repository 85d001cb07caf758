import { type Finding, find, isTest, read } from '../repository.ts'

interface TextRule {
  readonly pattern: RegExp
  readonly what: string
  readonly applies: (path: string) => boolean
}

const source = (path: string) => /\.(ts|tsx)$/.test(path) && !path.startsWith('tools/') && !isTest(path)

const RULES: readonly TextRule[] = [
  {
    pattern: /(?<!\.)\b(Date\.now|setTimeout|setInterval|Math\.random)\b/,
    what: 'time and chance come in as Clock and Random (libs/std)',
    applies: (path) => source(path) && !path.startsWith('libs/std/'),
  },
  { pattern: /\bexport \* from '(?!\.)/, what: 're-exports a whole package', applies: source },
  { pattern: /(^|[\s"'(])\/work\//, what: 'a path of somebody’s machine', applies: () => true },
  {
    pattern: /registry\.npmjs|deb\.debian\.org|pypi\.org|crates\.io/,
    what: 'the host of a package registry',
    applies: () => true,
  },
  {
    pattern: /\b(TODO|FIXME|HACK|XXX)\b(?!.*(settle|until|when|#\d))/,
    what: 'a TODO names what would settle it',
    applies: source,
  },
]

const TEXTS = '{apps,libs,tools,tests,docs,examples}/**/*.{ts,tsx,md,json,yaml}'

/** Words and calls that do not belong where they stand. */
export default function text(): Finding[] {
  const paths = [...find(TEXTS), ...find('*.{md,json,ts}')].filter((path) => path !== 'tools/tidy/src/rules/text.ts')
  return paths.flatMap((path) => {
    const rules = RULES.filter((rule) => rule.applies(path))
    return read(path)
      .split('\n')
      .flatMap((line, index) =>
        rules.filter((rule) => rule.pattern.test(line)).map(({ what }) => ({ where: `${path}:${index + 1}`, what })),
      )
  })
}
