// Beside the index: it loads grpc-js, which few tests need.
export * from './grpc-authorizer.ts'
