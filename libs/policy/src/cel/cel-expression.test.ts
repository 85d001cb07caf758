import { CodedError, SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { CEL_EXPRESSION_MAX } from '../limits.ts'
import { type Attribute, type Attributes, Milliseconds, Unsigned } from './attributes.ts'
import { CelExpression, celBindings } from './cel-expression.ts'

function attributes(values: Readonly<Record<string, Attribute>>): Attributes {
  return { get: (name) => (Object.hasOwn(values, name) ? values[name] : undefined), names: () => Object.keys(values) }
}

const bindings = celBindings({
  request: attributes({
    host: 'web:8000',
    path: '/a/b?c=1',
    headers: attributes({ 'x-team': 'red', accept: 'text/html' }),
    size: 12n,
    duration: new Milliseconds(1500.25),
    time: new Date('2026-01-02T03:04:05.600Z'),
  }),
  response: attributes({ code: 503n, grpc_status: 14n }),
  connection: attributes({ mtls: true, id: new Unsigned(7) }),
  share: attributes({ third: 1 / 3 }),
})

describe('the text of a value', () => {
  it.each<[expression: string, text: string | undefined]>([
    ['request.host', 'web:8000'],
    ["request['host']", 'web:8000'],
    ['string(response.code)', '503'],
    ['response.code', '503'],
    ['response.code >= 500 ? "5xx" : "other"', '5xx'],
    ['connection.mtls', 'true'],
    ['connection.id', '7'],
    ['connection.id == 7u', 'true'],
    ['share.third', '0.333333'],
    ['1.0 / 0.0', 'inf'],
    ['-1.0 / 0.0', '-inf'],
    ['0.0 / 0.0', 'nan'],
    ['null', 'NULL'],
    ["b'ab'", 'ab'],
    ['request.headers', 'CelMap value'],
    ['[1, 2]', 'CelList value'],
    ['int', 'CelType value'],
    ["request.headers['x-team']", 'red'],
    ["'x-team' in request.headers ? request.headers['x-team'] : 'none'", 'red'],
    ['has(request.headers.accept)', 'true'],
    ['has(request.referer)', 'false'],
    ['size(request.headers)', '2'],
    ['request.headers.exists(name, name.startsWith("x-"))', 'true'],
    ["request.path.matches('^/a/[a-z]')", 'true'],
    ['request.time', '2026-01-02T03:04:05.6+00:00'],
    ['request.time.getFullYear()', '2026'],
    ['request.duration', '1.50025s'],
    ["request.duration > duration('1s')", 'true'],
    ["duration('3h5m0.5s')", '3h5m0.5s'],
    ["duration('-90s')", '-1m30s'],
    ["duration('2ms')", '2ms'],
    ["duration('0s')", '0'],
    // An error that does not decide is none.
    ['request.host == "web:8000" || request.absent == 1', 'true'],
    // What is not there, has another type, or is unknown to CEL has no value.
    ['request.referer', undefined],
    ["request.headers['absent']", undefined],
    ['absent.host', undefined],
    ['constructor.name', undefined],
    ['request.constructor', undefined],
    ['request.host + 1', undefined],
    ['request.path.split("/")', undefined],
    ["has(request.headers['x-team'])", undefined],
    ["request.path.matches('(')", undefined],
  ])('of %s is %s', (expression, text) => {
    expect(CelExpression.compile(expression).text(bindings)).toBe(text)
  })
})

it.each<[expression: string, holds: boolean]>([
  ['response.code >= 400', true],
  ['response.code < 400', false],
  ['connection.mtls == false', false],
  ['request.absent == 1', false],
  ["'true'", false],
  ['1', false],
])('%s holds: %s', (expression, holds) => {
  expect(CelExpression.compile(expression).holds(bindings)).toBe(holds)
})

describe('what is no expression', () => {
  it.each([
    ['', ''],
    ['an end that is missing', 'request.host =='],
    ['an operator of C', "response_code | ''"],
    ['a text without an end', '"a'],
    ['too long', `"${'a'.repeat(CEL_EXPRESSION_MAX)}"`],
    ['nested too deeply', `${'('.repeat(2000)}1${')'.repeat(2000)}`],
    ['a macro in another', '[1].map(x, [2].map(y, x + y))'],
  ])('is refused with the reason: %s', (_, source) => {
    expect(() => CelExpression.compile(source)).toThrow(
      expect.toSatisfy((error) => CodedError.is(error, 'INVALID_EXPRESSION')),
    )
  })

  it('is refused or evaluated, whatever it is, and never throws otherwise', () => {
    const random = new SeededRandom(26)
    const pieces = [
      'request',
      '.',
      'host',
      '(',
      ')',
      '[',
      ']',
      "'x'",
      '1',
      '1u',
      '-',
      '!',
      '==',
      '&&',
      '?',
      ':',
      '{',
      '}',
      ',',
    ]
    let compiled = 0
    for (let round = 0; round < 3000; round += 1) {
      const length = 1 + random.integer(8)
      const source = Array.from({ length }, () => pieces[random.integer(pieces.length)]).join(' ')
      try {
        CelExpression.compile(source).text(bindings)
        compiled += 1
      } catch (error) {
        expect(CodedError.is(error, 'INVALID_EXPRESSION'), source).toBe(true)
      }
    }
    expect(compiled).toBeGreaterThan(30)
  })
})
