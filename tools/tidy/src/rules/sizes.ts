import { type Finding, find, isTest, read } from '../repository.ts'

/** A file longer than this hides a second room. */
const FILE_LINES_MAX = 500

export default function sizes(): Finding[] {
  return find('{apps,libs}/**/*.{ts,tsx}')
    .filter((path) => !isTest(path))
    .map((path) => ({ path, lines: read(path).split('\n').length }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ path, lines }) => ({ where: path, what: `${lines} lines: more than ${FILE_LINES_MAX}` }))
}
