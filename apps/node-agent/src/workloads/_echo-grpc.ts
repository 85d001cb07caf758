import { ProtoWriter } from '@ambient-lab/dataplane'
import type { AppReply, AppRequest } from '../hosting/workload.ts'
import { serveUnary } from './_grpc.ts'
import type { EchoContext } from './echo.ts'

const SERVICE = '/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/'

/** Unary calls of GrpcEcho. @see https://github.com/kubernetes-sigs/gateway-api/blob/main/conformance/echo-basic/grpcecho.proto */
export function grpcEcho(context: EchoContext): (request: AppRequest) => Promise<AppReply> {
  return (request) => {
    const echo = () => response(request, context)
    return serveUnary(request, { [`${SERVICE}Echo`]: echo, [`${SERVICE}EchoTwo`]: echo })
  }
}

function response({ path, rawHeaders, headers }: AppRequest, context: EchoContext): Buffer {
  const pairs: (readonly [string, string])[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) pairs.push([rawHeaders[index]!, rawHeaders[index + 1]!])
  return new ProtoWriter()
    .message(1, (assertions) =>
      assertions
        .string(1, path)
        .entries(2, pairs)
        .string(3, headers.host ?? '')
        .message(4, (inner) =>
          inner
            .string(1, context.namespace)
            .string(2, context.ingress)
            .string(3, context.service)
            .string(4, context.pod),
        ),
    )
    .finish()
}
