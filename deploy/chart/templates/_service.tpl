{{/* Everything of one service. Takes root and service, its key in `services`. */}}
{{- define "kubernaut.service" -}}
{{- $component := kebabcase .service }}
{{- $own := get .root.Values.services .service | default dict }}
{{- $values := mergeOverwrite (deepCopy .root.Values.defaults) $own }}
{{- $service := dict
  "root" .root
  "service" .service
  "component" $component
  "name" (printf "%s-%s" (include "kubernaut.fullname" .root) $component)
  "values" $values
  "usesApi" (or (has .service (list "watcher" "executorBridge")) .root.Values.metrics.auth.enabled)
  "usesDatabase" (eq .service "auditor") }}
{{- include "kubernaut.serviceAccount" $service }}
---
{{ include "kubernaut.deployment" $service }}
---
{{ include "kubernaut.metricsService" $service }}
{{- if .root.Values.podDisruptionBudget.enabled }}
---
{{ include "kubernaut.disruptionBudget" $service }}
{{- end }}
{{- if .root.Values.networkPolicy.enabled }}
---
{{ include "kubernaut.networkPolicy" $service }}
{{- end }}
{{- end }}

{{- define "kubernaut.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "kubernaut.labels" . | nindent 4 }}
  {{- with .values.serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{/* Without a ClusterIP, so that each pod is scraped by itself; those that are not ready tell most. */}}
{{- define "kubernaut.metricsService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "kubernaut.labels" . | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {{- include "kubernaut.selectorLabels" . | nindent 4 }}
  ports:
  - {name: metrics, port: 9090, targetPort: metrics, protocol: TCP}
{{- end }}

{{- define "kubernaut.disruptionBudget" -}}
{{- $budget := .root.Values.podDisruptionBudget }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "kubernaut.labels" . | nindent 4 }}
spec:
  {{- if kindIs "invalid" $budget.minAvailable }}
  maxUnavailable: {{ $budget.maxUnavailable }}
  {{- else }}
  minAvailable: {{ $budget.minAvailable }}
  {{- end }}
  unhealthyPodEvictionPolicy: AlwaysAllow # a pod that is not ready does no work that a drain could disturb
  selector:
    matchLabels: {{- include "kubernaut.selectorLabels" . | nindent 6 }}
{{- end }}
