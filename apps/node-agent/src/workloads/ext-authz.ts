import { ProtoMessage, ProtoWriter } from '@ambient-lab/dataplane'
import { type AppReply, type AppRequest, defineWorkload, text, type WorkloadContext } from '../hosting/workload.ts'
import { isGrpc, serveUnary } from './_grpc.ts'

const CHECK = '/envoy.service.auth.v3.Authorization/Check'
const ALLOWING_HEADER = 'x-ext-authz'
const ALLOWING_VALUE = 'allow'
const ALLOWED_SERVICE_ACCOUNT_DEFAULT = 'a'
const RESULT_HEADER = 'x-ext-authz-check-result'
const RECEIVED_HEADER = 'x-ext-authz-check-received'
const OVERRIDE_HEADER = 'x-ext-authz-additional-header-override'
const DENIAL = 'denied by ext_authz for not found header `x-ext-authz: allow` in the request'
const FORBIDDEN = 403
const PERMISSION_DENIED = 7

/**
 * Istio's sample authorizer, over HTTP and gRPC: allows what carries `x-ext-authz: allow`, and over gRPC whoever has the
 * service account of `-allow_service_account` (@default a) as well.
 * @see https://github.com/istio/istio/tree/master/samples/extauthz
 */
export default defineWorkload({
  name: 'ext-authz',
  images: ['ext-authz', 'ambient-lab/ext-authz'],
  ports: () => [8000, 9000],
  create: (context) => ({
    http2: true,
    http: (request) =>
      isGrpc(request)
        ? serveUnary(request, { [CHECK]: (message) => checkOverGrpc(message, context) })
        : checkOverHttp(request, context),
  }),
})

async function checkOverHttp(request: AppRequest, { log }: WorkloadContext): Promise<AppReply> {
  const { method, target, headers } = request
  const body = (await request.body()).toString('utf8')
  const isAllowed = headers[ALLOWING_HEADER] === ALLOWING_VALUE
  const received = printable(
    `${method} ${headers.host ?? ''}${target}, headers: ${headerText(headers)}, body: [${body}]`,
  )
  log(`[HTTP][${isAllowed ? 'allowed' : 'denied'}]: ${received}`)
  const answer = text(isAllowed ? 200 : FORBIDDEN, isAllowed ? '' : DENIAL)
  return {
    ...answer,
    headers: {
      ...answer.headers,
      [RESULT_HEADER]: isAllowed ? 'allowed' : 'denied',
      [OVERRIDE_HEADER]: String(headers[OVERRIDE_HEADER] ?? ''),
      [RECEIVED_HEADER]: received,
    },
  }
}

/** `envoy.service.auth.v3.CheckRequest` → `CheckResponse`. */
function checkOverGrpc(message: Uint8Array, context: WorkloadContext): Buffer {
  const attributes = new ProtoMessage(message).message(1)
  const http = attributes?.message(4)?.message(2)
  const headers: Record<string, string> = {}
  for (const entry of http?.messages(3) ?? []) headers[entry.string(1)] = entry.string(2)
  const principal = attributes?.message(1)?.string(4) ?? ''
  const isAllowed =
    headers[ALLOWING_HEADER] === ALLOWING_VALUE || principal.endsWith(`/sa/${allowedServiceAccount(context)}`)
  const received = printable(
    `${http?.string(2)} ${http?.string(5)}${http?.string(4)}, headers: ${headerText(headers)}, principal: ${principal}`,
  )
  context.log(`[gRPCv3][${isAllowed ? 'allowed' : 'denied'}]: ${received}`)
  return checkResponse(isAllowed, received)
}

function checkResponse(isAllowed: boolean, received: string): Buffer {
  const headers = (writer: ProtoWriter) =>
    Object.entries({
      [RESULT_HEADER]: isAllowed ? 'allowed' : 'denied',
      [OVERRIDE_HEADER]: 'grpc-additional-header-override-value',
      [RECEIVED_HEADER]: received,
    }).reduce(
      (all, [name, value]) =>
        all.message(2, (option) => option.message(1, (header) => header.string(1, name).string(2, value))),
      writer,
    )
  const response = new ProtoWriter().message(1, (status) => status.uint(1, isAllowed ? 0 : PERMISSION_DENIED))
  if (isAllowed) return response.message(3, headers).finish()
  return response
    .message(2, (denied) => headers(denied.message(1, (status) => status.uint(1, FORBIDDEN))).string(3, DENIAL))
    .finish()
}

function allowedServiceAccount({ container }: WorkloadContext): string {
  const words = [...container.command, ...container.args].flatMap((word) => word.split('='))
  const at = words.findIndex((word) => /^--?allow_service_account$/.test(word))
  return (at >= 0 && words[at + 1]) || ALLOWED_SERVICE_ACCOUNT_DEFAULT
}

function headerText(headers: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(headers)
}

/** What a header value can carry. */
function printable(value: string): string {
  return value.replaceAll(/[^\x20-\x7e]/g, '?')
}
