{{/* The labels that select the pods of a component; called with (list $ "gateway"). */}}
{{- define "rynxs.selector" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: rynxs
app.kubernetes.io/instance: {{ $top.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The labels of everything of a component; called with (list $ "gateway"). */}}
{{- define "rynxs.labels" -}}
{{- $top := index . 0 -}}
{{ include "rynxs.selector" . }}
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version }}
{{- end }}

{{/* An image of ours; called with (list $ "rynxs-computer"). */}}
{{- define "rynxs.image" -}}
{{- $top := index . 0 -}}
{{- $registry := required "set image.registry: where the images are (the release fills it)" $top.Values.image.registry -}}
{{ printf "%s/%s:%s" $registry (index . 1) ($top.Values.image.tag | default $top.Chart.AppVersion) }}
{{- end }}

{{/* The Secret with the store's keys. */}}
{{- define "rynxs.credentials" -}}
{{- if .Values.store.enabled -}}
rynxs-store
{{- else -}}
{{ .Values.log.existingSecret }}
{{- end -}}
{{- end }}

{{/* The components' configuration file. */}}
{{- define "rynxs.config" -}}
{{- if and .Values.store.enabled (or .Values.log.url .Values.log.endpoint .Values.log.existingSecret) -}}
{{- fail "log.url, log.endpoint and log.existingSecret name a store of yours: set store.enabled=false to use it instead of the bundled one" -}}
{{- end -}}
{{- if not .Values.store.enabled -}}
{{- $_ := required "set log.url=s3://bucket/prefix, or store.enabled=true for a trial with the bundled store" .Values.log.url -}}
{{- $_ := required "set log.existingSecret: the Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" .Values.log.existingSecret -}}
{{- end -}}
namespace: {{ .Release.Namespace | quote }}
log:
  {{- if .Values.store.enabled }}
  url: s3://rynxs/log
  endpoint: http://rynxs-store.{{ .Release.Namespace }}.svc:7070
  {{- else }}
  url: {{ .Values.log.url | quote }}
  {{- with .Values.log.endpoint }}
  endpoint: {{ . | quote }}
  {{- end }}
  {{- end }}
  region: {{ .Values.log.region | quote }}
  credentials: {{ include "rynxs.credentials" . | quote }}
computers:
  image: {{ .Values.computers.image | default (include "rynxs.image" (list . "rynxs-computer")) | quote }}
  daemonImage: {{ include "rynxs.image" (list . "rynxs-computer") | quote }}
  port: {{ .Values.computers.port }}
  imagePullPolicy: {{ .Values.computers.pullPolicy }}
  {{- with .Values.computers.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
{{- end }}

{{/* The part of every pod's spec that is the same. Nothing in any image needs a certain user. */}}
{{- define "rynxs.pod" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The part of every container that is the same. */}}
{{- define "rynxs.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* A component's environment: who it is, and the keys of the log's store. */}}
{{- define "rynxs.environment" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ include "rynxs.credentials" $ }}, key: {{ . }}}}
{{- end }}
{{- end }}

{{/* A component's probes, on its health port. */}}
{{- define "rynxs.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 2
  timeoutSeconds: 2
{{- end }}

{{/* Egress rules: names, the API server, and the log's store. */}}
{{- define "rynxs.egress.cluster" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
- ports:
    {{- range .Values.networkPolicies.apiServerPorts }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{- define "rynxs.egress.store" -}}
{{- if .Values.store.enabled -}}
- to:
    - podSelector:
        matchLabels: {{- include "rynxs.selector" (list . "store") | nindent 10 }}
  ports:
    - {protocol: TCP, port: 7070}
{{- else -}}
{{- $endpoint := urlParse (.Values.log.endpoint | default "https://aws") -}}
{{- $port := regexFind ":[0-9]+$" $endpoint.host | trimPrefix ":" | default (eq $endpoint.scheme "http" | ternary "80" "443") -}}
- ports:
    - {protocol: TCP, port: {{ $port }}}
{{- end }}
{{- end }}
