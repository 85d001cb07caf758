// What an opa container needs of others, by name and loaded when the first one starts, as `_yaml.ts` is.
export { loadPolicy } from '@open-policy-agent/opa-wasm'
