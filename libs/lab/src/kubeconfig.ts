import { readFileSync } from 'node:fs'
import { CodedError, errorMessage } from '@ambient-lab/std'

/** What a client needs to reach one API. PEM texts. */
export interface ApiAccess {
  /** `https://127.0.0.1:PORT`, without a slash at the end. */
  readonly server: string
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/**
 * Reads a kubeconfig that has one cluster and one user with embedded data, as the control plane writes it. A line
 * scanner and not a YAML parser: every command reads this file first, and loading a parser doubles a command's start.
 * @throws CodedError UNAVAILABLE when there is no file, KUBECONFIG_INVALID
 */
export function readKubeconfig(path: string): ApiAccess {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new CodedError('UNAVAILABLE', `no kubeconfig: ${errorMessage(error)}`, { cause: error, next: 'ambient up' })
  }
  return parseKubeconfig(text, path)
}

/** Pure part of readKubeconfig; `where` names the file in errors. */
export function parseKubeconfig(text: string, where: string): ApiAccess {
  const one = (key: string): string => {
    const values = [...text.matchAll(new RegExp(`(?:^|[\\s{,])"?${key}"?:\\s*"?([^"\\s,}]+)`, 'gm'))].map(
      ([, value]) => value!,
    )
    if (values.length === 1) return values[0]!
    const found = values.length === 0 ? 'no' : `${values.length} times`
    throw new CodedError('KUBECONFIG_INVALID', `${where}: ${found} "${key}"`, {
      where,
      next: 'a kubeconfig with one cluster and one user, certificates embedded (kubectl config view --minify --flatten)',
    })
  }
  const pem = (key: string) => Buffer.from(one(key), 'base64').toString('utf8')
  return {
    server: one('server').replace(/\/$/, ''),
    ca: pem('certificate-authority-data'),
    cert: pem('client-certificate-data'),
    key: pem('client-key-data'),
  }
}
