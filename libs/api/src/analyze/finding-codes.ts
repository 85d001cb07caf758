import type { FindingLevel } from './finding.ts'

/** What a code of `analyze` stands for. */
export interface FindingKind {
  /** CamelCase; Istio's own for its codes. */
  readonly name: string
  readonly level: FindingLevel
  /** The message, with `%s` and `%q` for what is found; Istio's own for its codes. */
  readonly template: string
  /** What is the case, and what follows from it. */
  readonly means: string
  readonly remedy: string
  /** Another tool's code for the same. */
  readonly alike?: string
}

/**
 * Every code that some analyzer finds. `AM`: the lab's, where Istio has none; the first digit is the area (0 enrolment and
 * enforcement, 1 routes). `IST`: istioctl's, with its level and words.
 * @see https://istio.io/latest/docs/reference/config/analysis/
 */
export const FINDING_CODES = {
  AM0101: {
    name: 'WorkloadOutsideMesh',
    level: 'Info',
    template: '%s is outside the mesh: neither it nor namespace %s has the label istio.io/dataplane-mode=ambient.',
    means:
      'A workload in a namespace without the ambient label. What it sends is plaintext and has no identity; no policy is enforced where it receives.',
    remedy: 'label the namespace, or the pods, with istio.io/dataplane-mode=ambient; with none, when that is meant',
  },
  AM0102: {
    name: 'AmbientAndSidecar',
    level: 'Warning',
    template: '%s asks for ambient mode and has a sidecar too: the sidecar wins, and ztunnel does not capture it.',
    means:
      'The ambient label and a sidecar on one workload. A pod with a sidecar is never captured; as a client it goes round every waypoint.',
    remedy:
      'remove the injection label (istio-injection, istio.io/rev, sidecar.istio.io/inject) and restart the workload, or set istio.io/dataplane-mode=none',
  },
  AM0103: {
    name: 'WaypointNotUsable',
    level: 'Error',
    template: 'The waypoint %s is %s: what should go through it goes without it, or fails.',
    means:
      'istio.io/use-waypoint names a Gateway that does not exist, does not take services, or is not programmed. One that was never ready is passed by, with every policy of layer 7; one that was ready and is gone makes connections fail.',
    remedy: 'ambient waypoint apply, or correct the label; ambient waypoint list says which are ready',
  },
  AM0104: {
    name: 'DenyWithoutEffect',
    level: 'Error',
    template: 'ztunnel reads no HTTP (found: %s), so this rule of a DENY can never match: nobody enforces it.',
    means:
      'A DENY that only ztunnel is asked about, with a part of a rule that holds nothing but HTTP conditions. That part becomes a match that never matches, and the whole rule with it: what should be refused is let through.',
    remedy:
      'put a waypoint before the service and attach the policy to it with targetRefs, or deny by principals and ports alone',
    alike: 'KIA1317',
  },
  AM0105: {
    name: 'AllowRuleDropped',
    level: 'Error',
    template: 'ztunnel reads no HTTP (found: %s), so this rule of an ALLOW is left out: it allows nobody.',
    means:
      'An ALLOW that only ztunnel is asked about, with HTTP conditions. The whole rule is dropped; an ALLOW without rules refuses everybody.',
    remedy:
      'put a waypoint before the service and attach the policy to it with targetRefs, or allow by principals and ports alone',
  },
  AM0106: {
    name: 'SelectorBehindWaypoint',
    level: 'Warning',
    template: 'A selector is decided by ztunnel, which sees waypoint %s as the caller of service %s; use targetRefs.',
    means:
      'A policy with a selector that names callers, for pods behind a waypoint. The second tunnel is authenticated as the waypoint, so the callers are never those that the policy names.',
    remedy:
      'attach the policy with targetRefs to the service or the waypoint; keep a selector for what lets only the waypoint in',
  },
  AM0107: {
    name: 'TargetWithoutWaypoint',
    level: 'Error',
    template: '%s %s has no waypoint: nobody enforces what is attached to it.',
    means:
      'targetRefs to a service that has no waypoint. Such a policy is never sent to ztunnel, so it is enforced by nobody.',
    remedy: 'ambient waypoint apply -n NAMESPACE --enroll-namespace, or label the service with istio.io/use-waypoint',
  },
  AM0108: {
    name: 'AroundTheWaypoint',
    level: 'Warning',
    template: '%s goes round waypoint %s of service %s, and so round this configuration.',
    means:
      'Clients that never pass a waypoint: sidecars, workloads outside the mesh, ingress gateways without istio.io/ingress-use-waypoint, and everybody who dials a pod by its address.',
    remedy:
      'label the service istio.io/ingress-use-waypoint=true for gateways; for the rest an AuthorizationPolicy with a selector, DENY, and notPrincipals of the waypoint',
  },
  AM0109: {
    name: 'ActionNotForZtunnel',
    level: 'Error',
    template: 'ztunnel does not support the %s action: nobody enforces this policy.',
    means: 'CUSTOM or AUDIT in a policy that only ztunnel would look at. It is not sent to it.',
    remedy: 'put a waypoint before the service and attach the policy to it with targetRefs',
  },
  AM0111: {
    name: 'EmptyPolicyDeniesAll',
    level: 'Warning',
    template: 'An ALLOW policy without rules refuses everything that reaches %s. Is that meant?',
    means: 'An empty spec is an ALLOW that matches nothing: all is denied where it holds.',
    remedy: 'name it so that the next reader knows (deny-all, allow-nothing), or give it rules',
  },
  AM0113: {
    name: 'NotInIstio',
    level: 'Warning',
    template:
      'Istio’s ztunnel has nothing like %s: only the ztunnel of this lab follows it. In a cluster it has no effect.',
    means:
      'A kind of the lab alone. Connection limits, connect retries, outlier detection and idle time-outs at layer 4 are what an Envoy could do for TCP; Istio’s ztunnel does none of it.',
    remedy: 'in a cluster: a waypoint with a DestinationRule (connectionPool, outlierDetection) for the same service',
  },
  AM0114: {
    name: 'StrictRefusesPlaintext',
    level: 'Warning',
    template: 'STRICT refuses plaintext, and these workloads have nothing else to send: %s.',
    means: 'mTLS is demanded of callers that are outside the mesh. Their connections are reset at the destination.',
    remedy: 'enrol the callers (istio.io/dataplane-mode=ambient), or PERMISSIVE until they are',
  },
  AM0115: {
    name: 'DenyWithoutHttp',
    level: 'Warning',
    template: 'ztunnel reads no HTTP (found: %s) and denies without these conditions: more than was asked.',
    means:
      'A DENY that only ztunnel is asked about, with HTTP conditions beside others. The HTTP conditions are dropped, and all that meets the others is refused.',
    remedy: 'put a waypoint before the service and attach the policy to it with targetRefs',
  },
  AM0116: {
    name: 'NetworkWithoutGateway',
    level: 'Warning',
    template: 'Network %s has no east-west gateway: from other networks nobody reaches what service %s has there.',
    means:
      'A service that is global has endpoints in a network that no Gateway of class istio-east-west, and none of istio-remote, lets in to. Proxies of other networks leave them out; with no others left, requests end with 503 UH.',
    remedy: 'a Gateway of class istio-east-west with the label topology.istio.io/network of that network',
  },
  AM1001: {
    name: 'RouteWithoutWaypoint',
    level: 'Warning',
    template: 'Service %s has no waypoint, and ztunnel routes no requests: nobody in ambient mode follows this.',
    means:
      'A route, VirtualService or DestinationRule about a service that no waypoint stands before. Connections to it are balanced by ztunnel, which reads none of them.',
    remedy: 'ambient waypoint apply, and label the service or its namespace with istio.io/use-waypoint',
  },
  AM1002: {
    name: 'FieldNotFollowed',
    level: 'Warning',
    template: '%s has no effect: %s.',
    means:
      'A field of a VirtualService, DestinationRule or route that loads as in a cluster, and that nothing follows from: because the lab’s proxies do not have it, or because Istio’s do not either.',
    remedy: 'take it out, or use what the message names instead; docs/FIDELITY.md has the list',
  },
  IST0002: {
    name: 'Deprecated',
    level: 'Warning',
    template: 'Deprecated: %s',
    means: 'A field or value that Istio has given up.',
    remedy: 'use what the message names instead',
  },
  IST0101: {
    name: 'ReferencedResourceNotFound',
    level: 'Error',
    template: 'Referenced %s not found: %q',
    means: 'Something that is named does not exist, or is not visible from where it is named.',
    remedy: 'correct the name and namespace, or apply what is missing',
  },
  IST0109: {
    name: 'ConflictingMeshGatewayVirtualServiceHosts',
    level: 'Error',
    template:
      'The VirtualServices %s associated with mesh gateway define the same host %s which can lead to undefined behavior. This can be fixed by merging the conflicting VirtualServices into a single resource.',
    means: 'Several VirtualServices route one host for the mesh: which of them counts is not defined.',
    remedy: 'merge them, or narrow exportTo',
  },
  IST0110: {
    name: 'ConflictingSidecarWorkloadSelectors',
    level: 'Error',
    template: 'The Sidecars %s in namespace %q select the same workload pod %q, which can lead to undefined behavior.',
    means: 'One pod is meant by several Sidecars.',
    remedy: 'narrow the selectors',
  },
  IST0111: {
    name: 'MultipleSidecarsWithoutWorkloadSelectors',
    level: 'Error',
    template: 'The Sidecars %s in namespace %q have no workload selector, which can lead to undefined behavior.',
    means: 'A namespace has more than one Sidecar for everybody.',
    remedy: 'keep one without a selector',
  },
  IST0112: {
    name: 'VirtualServiceDestinationPortSelectorRequired',
    level: 'Error',
    template:
      'This VirtualService routes to a service %q that exposes multiple ports %s. Specifying a port in the destination is required to disambiguate.',
    means: 'A destination has several ports, and the route does not say which.',
    remedy: 'add destination.port.number',
  },
  IST0116: {
    name: 'DeploymentAssociatedToMultipleServices',
    level: 'Warning',
    template: 'This deployment %s is associated with multiple services using port %s but different protocols: %s',
    means: 'Two services say different protocols of one port of the same pods.',
    remedy: 'give the services the same protocol, or other ports',
  },
  IST0118: {
    name: 'PortNameIsNotUnderNamingConvention',
    level: 'Info',
    template: "Port name %s (port: %s, targetPort: %s) doesn't follow the naming convention of Istio port.",
    means: 'A port says its protocol neither by name nor by appProtocol, so proxies have to guess it.',
    remedy: 'name it PROTOCOL or PROTOCOL-something (http-web), or set appProtocol',
  },
  IST0127: {
    name: 'NoMatchingWorkloadsFound',
    level: 'Warning',
    template: 'No matching workloads for this resource with the following labels: %s',
    means: 'A selector means no pod.',
    remedy: 'correct the labels, or apply the workloads',
  },
  IST0128: {
    name: 'NoServerCertificateVerificationDestinationLevel',
    level: 'Warning',
    template:
      'DestinationRule %s in namespace %s has TLS mode set to %s but no caCertificates are set to validate server identity for host: %s',
    means: 'TLS to the destination is begun, and its certificate is not checked.',
    remedy: 'set caCertificates or, for a gateway, credentialName',
  },
  IST0129: {
    name: 'NoServerCertificateVerificationPortLevel',
    level: 'Warning',
    template:
      'DestinationRule %s in namespace %s has TLS mode set to %s but no caCertificates are set to validate server identity for host: %s at port %s',
    means: 'TLS to one port of the destination is begun, and its certificate is not checked.',
    remedy: 'set caCertificates or, for a gateway, credentialName',
  },
  IST0132: {
    name: 'VirtualServiceHostNotFoundInGateway',
    level: 'Warning',
    template: 'one or more host %s defined in VirtualService %s not found in Gateway %s.',
    means: 'The gateway takes no requests for a host that the VirtualService routes.',
    remedy: 'add the host to a server of the gateway',
  },
  IST0134: {
    name: 'ServiceEntryAddressesRequired',
    level: 'Warning',
    template: 'ServiceEntry addresses are required for this protocol.',
    means: 'TCP can be told apart by address only, and the entry has none and is given none.',
    remedy: 'add addresses, a protocol with host names, or allocate addresses',
  },
  IST0137: {
    name: 'DeploymentConflictingPorts',
    level: 'Warning',
    template: 'This deployment %s is associated with multiple services %s using targetPort %q but different ports: %s.',
    means: 'Two services lead to one target port from different ports.',
    remedy: 'use one port in both',
  },
  IST0140: {
    name: 'IngressRouteRulesNotAffected',
    level: 'Warning',
    template: 'Subset in virtual service %s has no effect on ingress gateway %s requests',
    means:
      'Subsets are chosen in a VirtualService for the mesh; the one of the gateway routes to the same host without a subset.',
    remedy: 'route by subset in the VirtualService of the gateway too',
  },
  IST0144: {
    name: 'InvalidApplicationUID',
    level: 'Warning',
    template: 'User ID (UID) 1337 is reserved for the sidecar proxy.',
    means: 'What runs as 1337 is taken for the proxy, and not captured.',
    remedy: 'another user id',
  },
  IST0145: {
    name: 'ConflictingGateways',
    level: 'Error',
    template: 'Conflict with gateways %s (workload selector %s, port %s, hosts %s).',
    means: 'Two Gateways claim one port and host of the same pods.',
    remedy: 'merge them, or use other hosts',
  },
  IST0149: {
    name: 'JwtClaimBasedRoutingWithoutRequestAuthN',
    level: 'Error',
    template:
      'The virtual service uses the JWT claim based routing (key: %s) but found no request authentication for the gateway (%s) pod (%s). The request authentication must first be applied for the gateway pods to validate the JWT token and make the claims available for routing.',
    means: 'Routing by a claim needs somebody who checks the token first.',
    remedy: 'a RequestAuthentication for the gateway',
  },
  IST0151: {
    name: 'EnvoyFilterUsesRelativeOperation',
    level: 'Warning',
    template:
      'This EnvoyFilter does not have a priority and has a relative patch operation set which can cause the EnvoyFilter not to be applied. Using the INSERT_FIRST of ADD option or setting the priority may help in ensuring the EnvoyFilter is applied correctly.',
    means: 'A patch is placed relative to others, in an order that nothing fixes.',
    remedy: 'set spec.priority',
  },
  IST0152: {
    name: 'EnvoyFilterUsesReplaceOperationIncorrectly',
    level: 'Error',
    template: 'The REPLACE operation is only valid for HTTP_FILTER and NETWORK_FILTER.',
    means: 'Envoy’s configuration has nothing to replace there.',
    remedy: 'MERGE, or another applyTo',
  },
  IST0153: {
    name: 'EnvoyFilterUsesAddOperationIncorrectly',
    level: 'Error',
    template: 'The ADD operation will be ignored when applyTo is set to ROUTE_CONFIGURATION, or HTTP_ROUTE.',
    means: 'Nothing can be added there.',
    remedy: 'another applyTo',
  },
  IST0154: {
    name: 'EnvoyFilterUsesRemoveOperationIncorrectly',
    level: 'Error',
    template: 'The REMOVE operation will be ignored when applyTo is set to ROUTE_CONFIGURATION, or HTTP_ROUTE.',
    means: 'Nothing can be removed there.',
    remedy: 'another applyTo',
  },
  IST0155: {
    name: 'EnvoyFilterUsesRelativeOperationWithProxyVersion',
    level: 'Warning',
    template:
      'This EnvoyFilter does not have a priority and has a relative patch operation (NSTERT_BEFORE/AFTER, REPLACE, MERGE, DELETE) and proxyVersion set which can cause the EnvoyFilter not to be applied during an upgrade. Using the INSERT_FIRST or ADD option or setting the priority may help in ensuring the EnvoyFilter is applied correctly.',
    means: 'A patch relative to one that only some proxy versions get.',
    remedy: 'set spec.priority',
  },
  IST0157: {
    name: 'InvalidTelemetryProvider',
    level: 'Warning',
    template: 'The Telemetry %s in namespace %q with empty providers will be ignored.',
    means: 'A setting without a provider, where the mesh has no default one, does nothing.',
    remedy: 'name a provider',
  },
  IST0159: {
    name: 'ConflictingTelemetryWorkloadSelectors',
    level: 'Error',
    template:
      'The Telemetries %s in namespace %q select the same workload pod %q, which can lead to undefined behavior.',
    means: 'One pod is meant by several Telemetries.',
    remedy: 'narrow the selectors',
  },
  IST0160: {
    name: 'MultipleTelemetriesWithoutWorkloadSelectors',
    level: 'Error',
    template: 'The Telemetries %s in namespace %q have no workload selector, which can lead to undefined behavior.',
    means: 'A namespace has more than one Telemetry for everybody.',
    remedy: 'keep one without a selector',
  },
  IST0161: {
    name: 'InvalidGatewayCredential',
    level: 'Error',
    template:
      'The credential referenced by the Gateway %s in namespace %s is invalid, which can cause the traffic not to work as expected.',
    means: 'The Secret has no certificate and key, or one that does not parse or has ended.',
    remedy: 'write the Secret anew, type kubernetes.io/tls',
  },
  IST0162: {
    name: 'GatewayPortNotDefinedOnService',
    level: 'Warning',
    template:
      'The gateway is listening on a target port (port %s) that is not defined in the Service associated with its workload instances (Pod selector %s). If you need to access the gateway port through the gateway Service, it will not be available.',
    means: 'No Service leads to the port that the gateway listens on.',
    remedy: 'add the port to the gateway’s Service',
  },
  IST0166: {
    name: 'IneffectiveSelector',
    level: 'Warning',
    template: 'Ineffective selector on Kubernetes Gateway %s. Use the TargetRef field instead.',
    means: 'A selector means pods of a Gateway of the Gateway API, which follow targetRefs only.',
    remedy: 'targetRefs with kind Gateway',
  },
  IST0167: {
    name: 'IneffectivePolicy',
    level: 'Warning',
    template: 'The policy has no impact: %s.',
    means: 'Nobody reads this policy where it is.',
    remedy: 'what the message says; for ambient mode mostly targetRefs and a waypoint',
  },
  IST0171: {
    name: 'NegativeConditionStatus',
    level: 'Warning',
    template: 'A condition with a negative status is present: type=%s, reason=%s, message=%s.',
    means: 'The control plane has refused the object, or a part of it, and says why.',
    remedy: 'what the message says',
  },
  IST0173: {
    name: 'DestinationRuleSubsetNotSelectPods',
    level: 'Error',
    template:
      'The Subset %s defined in the DestinationRule does not select any pods. Which may lead to 503 UH (NoHealthyUpstream).',
    means: 'No pod of the host has the labels of the subset.',
    remedy: 'correct the labels of the subset or the pods',
  },
  IST0174: {
    name: 'UnknownDestinationRuleHost',
    level: 'Warning',
    template: 'The host %s defined in the DestinationRule does not match any services in the mesh.',
    means: 'The rule is about a host that nobody has.',
    remedy: 'correct the host, or apply the service',
  },
  IST0177: {
    name: 'ConflictingServiceEntryProtocol',
    level: 'Warning',
    template: 'Multiple ServiceEntries (%s) define the same host %q and port %s with conflicting protocols (%s).',
    means: 'One host and port has two protocols: which counts is not defined.',
    remedy: 'agree on one protocol, or narrow exportTo',
  },
} as const satisfies Readonly<Record<string, FindingKind>>

export type FindingCode = keyof typeof FINDING_CODES

export function findingKind(code: string): FindingKind | undefined {
  return Object.hasOwn(FINDING_CODES, code) ? FINDING_CODES[code as FindingCode] : undefined
}
