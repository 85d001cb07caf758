// What an opa container needs of others, by name and loaded when the first one starts, as libs/api's yaml-library is.
export { loadPolicy } from '@open-policy-agent/opa-wasm'
export { parse as parseYaml } from 'yaml'
