import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Gateway, GatewayListener, SecretObjectReference } from '@ambient-lab/api'
import type { DownstreamTls } from '@ambient-lab/xds'
import { CONFIG_MAPS, SECRETS } from '../stored-kinds.ts'
import type { TranslationView } from '../translate/view.ts'
import { isGranted } from './reference-grants.ts'
import { secretTexts } from './upstream-tls.ts'

/** Why a listener cannot end TLS. */
export interface TlsFinding {
  readonly reason:
    | 'InvalidCertificateRef'
    | 'RefNotPermitted'
    | 'InvalidCACertificateRef'
    | 'InvalidCACertificateKind'
    | 'InvalidTLS'
  readonly message: string
  /** Of the certificates that clients are checked by, not of the listener's own. */
  readonly isClientCa: boolean
}

interface Referrer {
  readonly kind: 'Gateway' | 'ListenerSet'
  readonly namespace: string
}

type View = Pick<TranslationView, 'get' | 'list'>
type FrontendValidation = NonNullable<
  NonNullable<NonNullable<NonNullable<Gateway['spec']>['tls']>['frontend']>['default']['validation']
>

const TERMINATE_MODE = 'gateway.istio.io/tls-terminate-mode'
const CORE_GROUP = ''

/**
 * The TLS of a listener; undefined: none is asked for.
 * @param validation how the Gateway has clients' certificates checked on this port
 */
export function listenerTls(
  listener: GatewayListener,
  from: Referrer,
  validation: FrontendValidation | undefined,
  view: View,
): DownstreamTls | TlsFinding | undefined {
  const { tls, protocol } = listener
  if (!tls || (protocol !== 'HTTPS' && protocol !== 'TLS')) return undefined
  if (tls.mode === 'Passthrough') return { mode: 'PASSTHROUGH', certificates: [] }
  if (tls.options?.[TERMINATE_MODE] === 'ISTIO_MUTUAL') return { mode: 'ISTIO_MUTUAL', certificates: [] }
  const certificates: DownstreamTls['certificates'][number][] = []
  for (const reference of tls.certificateRefs ?? []) {
    const certificate = certificateOf(reference, from, view)
    if ('reason' in certificate) return certificate
    certificates.push(certificate)
  }
  if (certificates.length === 0) {
    return {
      reason: 'InvalidTLS',
      message: 'exactly 1 certificateRefs should be present for TLS termination',
      isClientCa: false,
    }
  }
  const client = validation && clientCa(validation, from, view)
  if (client && 'reason' in client) return client
  const mode = client ? (validation.mode === 'AllowInsecureFallback' ? 'OPTIONAL_MUTUAL' : 'MUTUAL') : 'SIMPLE'
  return { mode, certificates, ...(client && { clientCaPem: client.pem }) }
}

/** Validation of a port: its own, else the Gateway's. */
export function frontendValidation({ spec }: Gateway, port: number): FrontendValidation | undefined {
  const frontend = spec?.tls?.frontend
  const own = frontend?.perPort?.find((settings) => settings.port === port)
  return own ? own.tls.validation : frontend?.default.validation
}

function certificateOf(
  reference: SecretObjectReference,
  from: Referrer,
  view: View,
): DownstreamTls['certificates'][number] | TlsFinding {
  const { group = CORE_GROUP, kind = 'Secret', name, namespace = from.namespace } = reference
  if (group !== CORE_GROUP || kind !== 'Secret') {
    return certificateFinding(`invalid certificate reference ${describe(reference)}, only secret is allowed`)
  }
  if (!isGranted(view, { ...from, group: 'gateway.networking.k8s.io' }, { group, kind, name, namespace })) {
    return {
      reason: 'RefNotPermitted',
      message: `certificateRef ${name}/${namespace} not accessible to a Gateway in namespace "${from.namespace}" (missing a ReferenceGrant?)`,
      isClientCa: false,
    }
  }
  return keyPairOf(view, namespace, name, `certificate reference ${describe(reference)}`)
}

/** Of a Secret; the texts are istiod's. @param what as it is named in them */
export function keyPairOf(
  view: Pick<TranslationView, 'get'>,
  namespace: string,
  name: string,
  what: string,
): DownstreamTls['certificates'][number] | TlsFinding {
  if (!view.get(SECRETS, `${namespace}/${name}`)) {
    return certificateFinding(`invalid ${what}, secret ${namespace}/${name} not found`)
  }
  const texts = secretTexts(view, namespace, name)
  const certificatePem = texts['tls.crt'] ?? texts.cert ?? ''
  const keyPem = texts['tls.key'] ?? texts.key ?? ''
  const broken = whyBroken(certificatePem, keyPem)
  if (broken) return certificateFinding(`invalid ${what}, the certificate is malformed: ${broken}`)
  return { certificatePem, keyPem }
}

function certificateFinding(message: string): TlsFinding {
  return { reason: 'InvalidCertificateRef', message, isClientCa: false }
}

function describe({ group = CORE_GROUP, kind = 'Secret', name, namespace = '' }: SecretObjectReference): string {
  return `${group}/${kind}/${name}.${namespace}`
}

/** In Go's words as far as those are what people search for. */
function whyBroken(certificatePem: string, keyPem: string): string | undefined {
  if (!certificatePem.includes('-----BEGIN')) return 'tls: failed to find any PEM data in certificate input'
  if (!keyPem.includes('-----BEGIN')) return 'tls: failed to find any PEM data in key input'
  try {
    const fits = new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem))
    return fits ? undefined : 'tls: private key does not match public key'
  } catch {
    return 'tls: failed to parse certificate or key'
  }
}

/** Of the first reference, as in Istio, which takes one alone. */
function clientCa(
  { caCertificateRefs }: FrontendValidation,
  from: Referrer,
  view: View,
): { readonly pem: string } | TlsFinding {
  const finding = (reason: TlsFinding['reason'], message: string): TlsFinding => ({ reason, message, isClientCa: true })
  if (caCertificateRefs.length !== 1)
    return finding('InvalidCACertificateRef', 'only one caCertificateRef is supported')
  const reference = caCertificateRefs[0]!
  const { group, kind, name, namespace = from.namespace } = reference
  if (group !== CORE_GROUP || (kind !== 'Secret' && kind !== 'ConfigMap')) {
    const message = `invalid CA certificate reference ${describe(reference)}, only secret and configmap are allowed`
    return finding('InvalidCACertificateKind', message)
  }
  if (!isGranted(view, { ...from, group: 'gateway.networking.k8s.io' }, { group, kind, name, namespace })) {
    const message = `caCertificateRef ${namespace}/${name} not accessible to a Gateway in namespace "${from.namespace}" (missing a ReferenceGrant?)`
    return finding('RefNotPermitted', message)
  }
  const key = `${namespace}/${name}`
  const exists = kind === 'Secret' ? view.get(SECRETS, key) : view.get(CONFIG_MAPS, key)
  if (!exists) {
    const message = `invalid CA certificate reference ${describe(reference)}, ${kind.toLowerCase()} ${key} not found`
    return finding('InvalidCACertificateRef', message)
  }
  const texts = kind === 'Secret' ? secretTexts(view, namespace, name) : (view.get(CONFIG_MAPS, key)?.data ?? {})
  const pem = texts['ca.crt'] ?? texts.cacert ?? ''
  return pem.includes('-----BEGIN')
    ? { pem }
    : finding(
        'InvalidCACertificateRef',
        `invalid CA certificate reference ${describe(reference)}, the certificate is malformed`,
      )
}
