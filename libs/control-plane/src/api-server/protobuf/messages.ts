/**
 * How a field is read. A name in capitals is another message; `[]` repeats; `!` is a pointer in Go, whose zero means
 * something, while the zero of any other field means that it was not set.
 */
export type FieldType = string

/** Field number → `name:type`. */
export type Message = Readonly<Record<number, string>>

/**
 * The messages that typed clients send (`kubectl create namespace`, `kubectl auth can-i`), with the fields that such
 * commands can set.
 * @see https://github.com/kubernetes/api, the generated.proto of each group
 */
export const MESSAGES: Readonly<Record<string, Message>> = {
  ObjectMeta: {
    1: 'name:string',
    2: 'generateName:string',
    3: 'namespace:string',
    5: 'uid:string',
    6: 'resourceVersion:string',
    7: 'generation:int',
    8: 'creationTimestamp:Time',
    9: 'deletionTimestamp:Time',
    10: 'deletionGracePeriodSeconds:int!',
    11: 'labels:map<string>',
    12: 'annotations:map<string>',
    13: 'ownerReferences:OwnerReference[]',
    14: 'finalizers:string[]',
  },
  OwnerReference: {
    1: 'kind:string',
    3: 'name:string',
    4: 'uid:string',
    5: 'apiVersion:string',
    6: 'controller:bool!',
    7: 'blockOwnerDeletion:bool!',
  },
  LabelSelector: { 1: 'matchLabels:map<string>', 2: 'matchExpressions:LabelSelectorRequirement[]' },
  LabelSelectorRequirement: { 1: 'key:string', 2: 'operator:string', 3: 'values:string[]' },
  LocalObjectReference: { 1: 'name:string' },
  ObjectReference: {
    1: 'kind:string',
    2: 'namespace:string',
    3: 'name:string',
    4: 'uid:string',
    5: 'apiVersion:string',
  },

  Namespace: { 1: 'metadata:ObjectMeta', 2: 'spec:NamespaceSpec', 3: 'status:NamespaceStatus' },
  NamespaceSpec: { 1: 'finalizers:string[]' },
  NamespaceStatus: { 1: 'phase:string' },
  ConfigMap: { 1: 'metadata:ObjectMeta', 2: 'data:map<string>', 3: 'binaryData:map<bytes>', 4: 'immutable:bool!' },
  Secret: {
    1: 'metadata:ObjectMeta',
    2: 'data:map<bytes>',
    3: 'type:string',
    4: 'stringData:map<string>',
    5: 'immutable:bool!',
  },
  ServiceAccount: {
    1: 'metadata:ObjectMeta',
    2: 'secrets:ObjectReference[]',
    3: 'imagePullSecrets:LocalObjectReference[]',
    4: 'automountServiceAccountToken:bool!',
  },

  Service: { 1: 'metadata:ObjectMeta', 2: 'spec:ServiceSpec', 3: 'status:Empty' },
  ServiceSpec: {
    1: 'ports:ServicePort[]',
    2: 'selector:map<string>',
    3: 'clusterIP:string',
    4: 'type:string',
    5: 'externalIPs:string[]',
    7: 'sessionAffinity:string',
    8: 'loadBalancerIP:string',
    9: 'loadBalancerSourceRanges:string[]',
    10: 'externalName:string',
    11: 'externalTrafficPolicy:string',
    13: 'publishNotReadyAddresses:bool',
    18: 'clusterIPs:string[]',
  },
  ServicePort: {
    1: 'name:string',
    2: 'protocol:string',
    3: 'port:int',
    4: 'targetPort:IntOrString',
    5: 'nodePort:int',
    6: 'appProtocol:string',
  },

  Deployment: { 1: 'metadata:ObjectMeta', 2: 'spec:DeploymentSpec', 3: 'status:Empty' },
  DeploymentSpec: {
    1: 'replicas:int!',
    2: 'selector:LabelSelector',
    3: 'template:PodTemplateSpec',
    4: 'strategy:DeploymentStrategy',
    5: 'minReadySeconds:int',
    6: 'revisionHistoryLimit:int!',
    7: 'paused:bool',
    9: 'progressDeadlineSeconds:int!',
  },
  DeploymentStrategy: { 1: 'type:string', 2: 'rollingUpdate:RollingUpdateDeployment' },
  RollingUpdateDeployment: { 1: 'maxUnavailable:IntOrString', 2: 'maxSurge:IntOrString' },
  PodTemplateSpec: { 1: 'metadata:ObjectMeta', 2: 'spec:PodSpec' },
  Pod: { 1: 'metadata:ObjectMeta', 2: 'spec:PodSpec', 3: 'status:Empty' },
  PodSpec: {
    2: 'containers:Container[]',
    3: 'restartPolicy:string',
    4: 'terminationGracePeriodSeconds:int!',
    6: 'dnsPolicy:string',
    7: 'nodeSelector:map<string>',
    8: 'serviceAccountName:string',
    10: 'nodeName:string',
    11: 'hostNetwork:bool',
    15: 'imagePullSecrets:LocalObjectReference[]',
    20: 'initContainers:Container[]',
  },
  Container: {
    1: 'name:string',
    2: 'image:string',
    3: 'command:string[]',
    4: 'args:string[]',
    5: 'workingDir:string',
    6: 'ports:ContainerPort[]',
    7: 'env:EnvVar[]',
    14: 'imagePullPolicy:string',
  },
  ContainerPort: {
    1: 'name:string',
    2: 'hostPort:int',
    3: 'containerPort:int',
    4: 'protocol:string',
    5: 'hostIP:string',
  },
  EnvVar: { 1: 'name:string', 2: 'value:string' },
  /** A status of a new object: zero in every field. */
  Empty: {},

  SelfSubjectAccessReview: { 1: 'metadata:ObjectMeta', 2: 'spec:SelfSubjectAccessReviewSpec', 3: 'status:Empty' },
  SelfSubjectAccessReviewSpec: {
    1: 'resourceAttributes:ResourceAttributes',
    2: 'nonResourceAttributes:NonResourceAttributes',
  },
  ResourceAttributes: {
    1: 'namespace:string',
    2: 'verb:string',
    3: 'group:string',
    4: 'version:string',
    5: 'resource:string',
    6: 'subresource:string',
    7: 'name:string',
  },
  NonResourceAttributes: { 1: 'path:string', 2: 'verb:string' },
  SelfSubjectRulesReview: { 1: 'metadata:ObjectMeta', 2: 'spec:SelfSubjectRulesReviewSpec', 3: 'status:Empty' },
  SelfSubjectRulesReviewSpec: { 1: 'namespace:string' },
  SelfSubjectReview: { 1: 'metadata:ObjectMeta', 2: 'status:Empty' },
  DeleteOptions: {
    1: 'gracePeriodSeconds:int!',
    2: 'preconditions:Preconditions',
    3: 'orphanDependents:bool!',
    4: 'propagationPolicy:string',
    5: 'dryRun:string[]',
  },
  Preconditions: { 1: 'uid:string', 2: 'resourceVersion:string' },
}
