/**
 * The messages of Envoy's ext_authz as protobufjs takes definitions in JSON, with the numbers of the .proto files: an oracle
 * that shares nothing with the codec of the data path.
 * @see https://github.com/envoyproxy/envoy/tree/main/api/envoy/service/auth/v3
 */
export const EXT_AUTHZ_PROTO = {
  nested: {
    envoy: { nested: { service: { nested: { auth: { nested: { v3: { nested: authV3() } } } } } } },
  },
}

function authV3() {
  return {
    Authorization: { methods: { Check: { requestType: 'CheckRequest', responseType: 'CheckResponse' } } },
    CheckRequest: message({ attributes: ['AttributeContext', 1] }),
    AttributeContext: {
      ...message({
        source: ['Peer', 1],
        destination: ['Peer', 2],
        request: ['Request', 4],
        context_extensions: ['string', 10, 'string'],
      }),
      nested: {
        Peer: message({
          address: ['Address', 1],
          service: ['string', 2],
          labels: ['string', 3, 'string'],
          principal: ['string', 4],
          certificate: ['string', 5],
        }),
        Request: message({ time: ['Timestamp', 1], http: ['HttpRequest', 2] }),
        HttpRequest: message({
          id: ['string', 1],
          method: ['string', 2],
          headers: ['string', 3, 'string'],
          path: ['string', 4],
          host: ['string', 5],
          scheme: ['string', 6],
          query: ['string', 7],
          fragment: ['string', 8],
          size: ['int64', 9],
          protocol: ['string', 10],
          body: ['string', 11],
          raw_body: ['bytes', 12],
        }),
        Address: message({ socket_address: ['SocketAddress', 1] }),
        SocketAddress: message({ protocol: ['int32', 1], address: ['string', 2], port_value: ['uint32', 3] }),
      },
    },
    CheckResponse: {
      ...message({
        status: ['Status', 1],
        denied_response: ['DeniedHttpResponse', 2],
        ok_response: ['OkHttpResponse', 3],
        dynamic_metadata: ['Struct', 4],
      }),
      oneofs: { http_response: { oneof: ['denied_response', 'ok_response'] } },
    },
    Status: message({ code: ['int32', 1], message: ['string', 2] }),
    HttpStatus: message({ code: ['int32', 1] }),
    DeniedHttpResponse: message({
      status: ['HttpStatus', 1],
      headers: ['repeated HeaderValueOption', 2],
      body: ['string', 3],
    }),
    OkHttpResponse: message({
      headers: ['repeated HeaderValueOption', 2],
      headers_to_remove: ['repeated string', 5],
      response_headers_to_add: ['repeated HeaderValueOption', 6],
      query_parameters_to_set: ['repeated QueryParameter', 7],
      query_parameters_to_remove: ['repeated string', 8],
    }),
    QueryParameter: message({ key: ['string', 1], value: ['string', 2] }),
    HeaderValueOption: message({
      header: ['HeaderValue', 1],
      append: ['BoolValue', 2],
      append_action: ['int32', 3],
    }),
    Timestamp: message({ seconds: ['int64', 1], nanos: ['int32', 2] }),
    BoolValue: message({ value: ['bool', 1] }),
    Struct: message({ fields: ['Value', 1, 'string'] }),
    Value: message({ number_value: ['double', 2], string_value: ['string', 3], bool_value: ['bool', 4] }),
    HeaderValue: message({ key: ['string', 1], value: ['string', 2], raw_value: ['bytes', 3] }),
  }
}

/** Type and number of each field, and the type of the keys where it is a map. */
function message(fields: Readonly<Record<string, readonly [type: string, id: number, keyType?: string]>>) {
  const entries = Object.entries(fields).map(([name, [type, id, keyType]]) => {
    const isRepeated = type.startsWith('repeated ')
    const field = { type: isRepeated ? type.slice('repeated '.length) : type, id }
    return [name, { ...field, ...(isRepeated && { rule: 'repeated' }), ...(keyType && { keyType }) }]
  })
  return { fields: Object.fromEntries(entries) as Record<string, { type: string; id: number }> }
}
