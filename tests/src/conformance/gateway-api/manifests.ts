import type { CorpusFolder } from '../corpus.ts'

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  '{GATEWAY_CLASS_NAME}': 'istio',
  '{CONTROLLER_NAME}': 'istio.io/gateway-controller',
  '{GATEWAY_CONTROLLER_NAME}': 'istio.io/gateway-controller',
}

/** A manifest of the suite, for gateways of the class `istio`. */
export function readSuiteManifest(folder: CorpusFolder, file: string): string {
  return Object.entries(PLACEHOLDERS).reduce((all, [from, to]) => all.replaceAll(from, to), folder.text(file))
}
