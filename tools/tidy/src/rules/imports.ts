import {
  type Finding,
  find,
  type ImportTable,
  importsOf,
  isTest,
  packageOf,
  read,
  readImportTable,
} from '../repository.ts'

const OURS = '@ambient-lab/'

/** Who may import whom, and where a third-party package may live: import-table.json. */
export default function imports(): Finding[] {
  const table = readImportTable()
  return find('{apps,libs,tools,tests}/**/*.{ts,tsx}').flatMap((path) =>
    importsOf(read(path)).flatMap(({ specifier, line }) => {
      const what = judge(path, specifier, table)
      return what ? [{ where: `${path}:${line}`, what }] : []
    }),
  )
}

/** @returns what is wrong with the import, or undefined */
export function judge(path: string, specifier: string, table: ImportTable): string | undefined {
  const owner = packageOf(path, table)
  if (owner === undefined || specifier.startsWith('node:')) return undefined
  if (specifier.startsWith('.')) return judgeRelative(path, specifier, owner)
  if (specifier.startsWith(OURS)) return judgeOurs(path, specifier.slice(OURS.length), owner, table)
  return judgeExternal(path, specifier, table)
}

function judgeRelative(path: string, specifier: string, owner: string): string | undefined {
  const target = new URL(specifier, `file:///${path}`).pathname.slice(1)
  if (!target.startsWith(`${owner}/`)) return `${specifier} leaves the package: import it by its package name`
  if (!/\.(ts|tsx|json|js)$/.test(specifier)) return `${specifier} has no file extension`
  return undefined
}

function judgeOurs(path: string, name: string, owner: string, table: ImportTable): string | undefined {
  const [lib = ''] = name.split('/')
  if (owner.endsWith(`/${lib}`) && owner.startsWith('libs/')) return `${lib} imports itself: use a relative path`
  if (table.testOnly.includes(lib)) return isTest(path) ? undefined : `${lib} is for tests only`
  if (table.packages[owner]!.includes(lib)) return undefined
  return `${owner} may not import ${lib} (import-table.json)`
}

function judgeExternal(path: string, specifier: string, table: ImportTable): string | undefined {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  if (isTest(path) || path.startsWith('tools/')) return undefined
  const homes = table.external[name]
  if (!homes) return `${name} is not in the import table: a new dependency brings a decision note`
  return homes.some((home) => path.startsWith(home)) ? undefined : `${name} lives in ${homes.join(', ')} only`
}
