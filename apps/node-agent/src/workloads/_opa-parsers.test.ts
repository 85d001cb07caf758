import { ProtoWriter } from '@ambient-lab/dataplane'
import { CodedError, SeededRandom } from '@ambient-lab/std'
import { expect, it, test } from 'vitest'
import { multipartValues } from './_multipart.ts'
import { opaInput } from './_opa-input.ts'
import { tarFiles } from './_tar.ts'
import { formValues, percentDecoded } from './_url-values.ts'

test.each([
  ['', ''],
  ['a+b', 'a+b'],
  ['%41%20', 'A '],
  ['ü%C3%BC', 'üü'],
  ['%FF', '\ufffd'],
])('%j is %j', (text, decoded) => {
  expect(percentDecoded(text)).toBe(decoded)
})

test.each([
  ['%', 'invalid URL escape "%"'],
  ['a%4', 'invalid URL escape "%4"'],
  ['%4g1', 'invalid URL escape "%4g"'],
])('%j is no text', (text, problem) => {
  expect(() => percentDecoded(text)).toThrow(problem)
})

test.each([
  ['', {}],
  ['&&', {}],
  ['a', { a: [''] }],
  ['a=1=2&a=3', { a: ['1=2', '3'] }],
  ['=1', { '': ['1'] }],
  ['__proto__=1', Object.fromEntries([['__proto__', ['1']]])],
  ['a+b=c+d%2B', { 'a b': ['c d+'] }],
])('the form %j is %j', (text, values) => {
  expect(formValues(text)).toEqual(values)
})

it('a form with a semicolon is none', () => {
  expect(() => formValues('a=1;b=2')).toThrow('invalid semicolon separator in query')
})

test.each<[title: string, body: string, values: object | RegExp]>([
  ['nothing', '', /does not end/],
  ['no end', '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n', /does not end/],
  ['the end alone', '--b--\r\n', {}],
  ['a part without a name', '--b\r\nA: b\r\n\r\n1\r\n--b--', {}],
  ['a quoted name', '--b\r\nContent-Disposition: form-data; name="a \\" ;"\r\n\r\n1\r\n--b--', { 'a " ;': ['1'] }],
  ['UTF-8', '--b\r\nContent-Disposition: form-data; name=a\r\n\r\nü\r\n--b--', { a: ['ü'] }],
  [
    'no JSON',
    '--b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: application/json\r\n\r\n{\r\n--b--',
    /JSON/,
  ],
])('a form of parts with %s', (_title, body, values) => {
  const read = () => multipartValues(Buffer.from(body), 'multipart/form-data; boundary=b')
  if (values instanceof RegExp) expect(read).toThrow(values)
  else expect(read()).toEqual(values)
})

/** A header of ustar and its file. */
function entry(name: string, content: string, { type = '0', prefix = '' } = {}): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write(content.length.toString(8).padStart(11, '0'), 124)
  header.write(type, 156)
  header.write('ustar\0', 257)
  header.write(prefix, 345)
  header.write('        ', 148)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const file = Buffer.alloc(Math.ceil(content.length / 512) * 512)
  file.write(content)
  return Buffer.concat([header, file])
}
const END = Buffer.alloc(1024)
const read = (archive: Buffer) =>
  Array.from(tarFiles(archive), ([path, bytes]) => [path, Buffer.from(bytes).toString()])

test.each<[title: string, archive: Buffer, files: string[][]]>([
  ['nothing', END, []],
  ['no end', entry('/a', 'x'), [['/a', 'x']]],
  [
    'two files',
    Buffer.concat([entry('a', '1'), entry('./b', '2'.repeat(600)), END]),
    [
      ['/a', '1'],
      ['/b', '2'.repeat(600)],
    ],
  ],
  ['a folder', Buffer.concat([entry('d/', '', { type: '5' }), entry('d/a', '1'), END]), [['/d/a', '1']]],
  ['a link', Buffer.concat([entry('l', '', { type: '2' }), END]), []],
  ['a long name', Buffer.concat([entry('b', '1', { prefix: 'a/a' }), END]), [['/a/a/b', '1']]],
  ['what is behind the end', Buffer.concat([entry('a', '1'), END, entry('b', '2')]), [['/a', '1']]],
])('an archive of %s', (_title, archive, files) => {
  expect(read(archive)).toEqual(files)
})

test.each<[title: string, archive: Buffer]>([
  ['of text', Buffer.alloc(512, 'x')],
  ['that is cut', entry('a', 'x'.repeat(600)).subarray(0, 1024)],
  ['whose header is another', Buffer.concat([Buffer.from('b'), entry('a', '1').subarray(1)])],
])('an archive %s is none', (_title, archive) => {
  expect(() => tarFiles(archive)).toThrow(/not a tar archive/)
})

it('bytes that somebody changed are read, or refused for what they are', () => {
  const random = new SeededRandom(7)
  const archive = Buffer.concat([entry('a', '1'), entry('b', '2'.repeat(600)), END])
  const request = new ProtoWriter()
    .message(1, (attributes) =>
      attributes.message(4, (wrapper) =>
        wrapper.message(2, (http) =>
          http
            .entries(3, [['content-type', 'multipart/form-data; boundary=b']])
            .string(4, '/a%20b?c=%41')
            .string(11, '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'),
        ),
      ),
    )
    .finish()
  const KNOWN = ['ARCHIVE_MALFORMED', 'OPA_REQUEST_UNREADABLE', 'PROTOBUF_MALFORMED']
  for (let run = 0; run < 4000; run += 1) {
    const [whole, parse] = run % 2 ? [archive, tarFiles] : [request, (bytes: Buffer) => opaInput(bytes, SHOW_ALL)]
    const bytes = Buffer.from(whole)
    for (let change = 0; change <= random.integer(3); change += 1)
      bytes[random.integer(bytes.length)] = random.integer(256)
    try {
      parse(bytes.subarray(0, random.integer(4) ? bytes.length : random.integer(bytes.length)))
    } catch (error) {
      expect(KNOWN).toContain(CodedError.is(error) ? error.code : error)
    }
  }
})

const SHOW_ALL = { skipRequestBodyParse: false }
