export interface KubeconfigContent {
  readonly lab: string
  readonly server: string
  readonly rootsPem: readonly string[]
  readonly certificateChainPem: readonly string[]
  readonly keyPem: string
}

/** A kubeconfig with one cluster and one user, everything embedded. */
export function formatKubeconfig(content: KubeconfigContent): string {
  const name = `ambient-${content.lab}`
  const base64 = (...pem: readonly string[]) => Buffer.from(pem.join('')).toString('base64')
  return `apiVersion: v1
kind: Config
clusters:
- name: ${name}
  cluster:
    server: ${content.server}
    certificate-authority-data: ${base64(...content.rootsPem)}
users:
- name: ambient-admin
  user:
    client-certificate-data: ${base64(...content.certificateChainPem)}
    client-key-data: ${base64(content.keyPem)}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: ambient-admin
    namespace: default
current-context: ${name}
preferences: {}
`
}
