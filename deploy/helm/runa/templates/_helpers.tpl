{{- define "runa.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* What tells the pods of a component from others; never changed, for selectors are fixed. (dict "root" $ "component" "api") */}}
{{- define "runa.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "runa.labels" -}}
{{ include "runa.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "runa.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "runa.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "runa.temporalAddress" -}}
{{- if .Values.temporal.enabled }}{{ include "runa.fullname" . }}-temporal:7233{{ else }}{{ required "temporal.address, or temporal.enabled" .Values.temporal.address }}{{ end }}
{{- end }}

{{/* One variable for each key of the secret. (dict "root" $ "keys" (list …)) */}}
{{- define "runa.secrets" -}}
{{- range .keys }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $.root.Values.existingSecret }}, key: {{ . }}}}
{{- end }}
{{- end }}

{{- define "runa.settings" -}}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{/* Where the stores and the engine are, for the API and the workers. */}}
{{- define "runa.stores" -}}
{{ include "runa.secrets" (dict "root" . "keys" (list "RUNA_DATABASE_URL" "RUNA_ELASTICSEARCH_URL" "RUNA_CLICKHOUSE_URL" "RUNA_KEYSET")) }}
{{- end }}

{{- define "runa.engine" -}}
- {name: RUNA_TEMPORAL_ADDRESS, value: {{ include "runa.temporalAddress" . | quote }}}
- {name: RUNA_TEMPORAL_NAMESPACE, value: {{ .Values.temporal.namespace | quote }}}
{{- if .Values.temporal.apiKey }}
{{- include "runa.secrets" (dict "root" . "keys" (list "RUNA_TEMPORAL_API_KEY")) }}
{{- end }}
{{- with .Values.temporal.tls }}
{{- if .existingSecret }}
- {name: RUNA_TEMPORAL_TLS_CERT, value: /etc/runa/temporal/tls.crt}
- {name: RUNA_TEMPORAL_TLS_KEY, value: /etc/runa/temporal/tls.key}
- {name: RUNA_TEMPORAL_TLS_CA, value: /etc/runa/temporal/ca.crt}
{{- end }}
{{- with .serverName }}
- {name: RUNA_TEMPORAL_TLS_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* What all containers have in common. */}}
{{- define "runa.container" -}}
name: runa
image: {{ printf "%s:%s" .Values.image.repository .Values.image.tag | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- if .Values.temporal.tls.existingSecret }}
  - {name: temporal-tls, mountPath: /etc/runa/temporal, readOnly: true}
{{- end }}
{{- end }}

{{/* What all pods have in common, but for the spread. */}}
{{- define "runa.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
volumes:
  - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
{{- with .Values.temporal.tls.existingSecret }}
  - {name: temporal-tls, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- end }}

{{- define "runa.spread" -}}
{{- with .root.Values.topologySpread }}
topologySpreadConstraints:
{{- range . }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {{ include "runa.selector" $ | fromYaml | toJson }}}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end }}

{{/* (port name) A start may take two minutes: it waits for what it needs. */}}
{{- define "runa.probes" -}}
startupProbe: {httpGet: {path: /livez, port: {{ . }}}, periodSeconds: 2, failureThreshold: 60}
livenessProbe: {httpGet: {path: /livez, port: {{ . }}}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
readinessProbe: {httpGet: {path: /readyz, port: {{ . }}}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3}
{{- end }}

{{/* A deployment. (dict "root" $ "component" … "args" (list …) "env" "…" "port" (dict "name" … "number" …) "replicas" n "autoscaled" bool "resources" …) */}}
{{- define "runa.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "runa.fullname" .root }}-{{ .component }}
  labels: {{- include "runa.labels" . | nindent 4 }}
spec:
{{- if not .autoscaled }}
  replicas: {{ .replicas }}
{{- end }}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector:
    matchLabels: {{- include "runa.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "runa.labels" . | nindent 8 }}
        runa/port: {{ .port.name }}
        {{- with .root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .root.Values.podAnnotations }}
      annotations: {{ toJson . }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "runa.serviceAccount" .root }}
      {{- include "runa.pod" .root | nindent 6 }}
      {{- include "runa.spread" . | nindent 6 }}
      containers:
        - args: {{ toJson .args }}
          {{- include "runa.container" .root | nindent 10 }}
          env:
            {{- .env | trim | nindent 12 }}
          ports:
            - {name: {{ .port.name }}, containerPort: {{ .port.number }}}
            {{- range $name, $number := .otherPorts }}
            - {name: {{ $name }}, containerPort: {{ $number }}}
            {{- end }}
          {{- include "runa.probes" .port.name | nindent 10 }}
          # Connections come for a moment after a pod is told to end.
          lifecycle: {preStop: {sleep: {seconds: 5}}}
          resources: {{ toJson .resources }}
{{- end }}

{{/* (dict "root" $ "component" …) */}}
{{- define "runa.disruptionBudget" -}}
{{- if .root.Values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "runa.fullname" .root }}-{{ .component }}
  labels: {{- include "runa.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .root.Values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels: {{- include "runa.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* (dict "root" $ "component" … "autoscaling" …) */}}
{{- define "runa.autoscaler" -}}
{{- if .autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "runa.fullname" .root }}-{{ .component }}
  labels: {{- include "runa.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "runa.fullname" .root }}-{{ .component }}}
  minReplicas: {{ .autoscaling.minReplicas }}
  maxReplicas: {{ .autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ .autoscaling.targetCPU }}}}
{{- end }}
{{- end }}
