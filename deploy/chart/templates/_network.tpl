{{/* Who may reach the pods of one service, and whom they may reach. */}}

{{/* One edge: on these ports, to these peers, to anybody where none is named. Takes to and ports. */}}
{{- define "kubernaut.egress" -}}
- {{ with .to }}to: {{- toYaml . | nindent 2 }}
  {{ end }}ports:
  {{- range .ports }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
{{- end }}

{{/* Names are asked for over UDP, long answers over TCP. Takes the root. */}}
{{- define "kubernaut.dnsEgress" -}}
{{- $dns := .Values.networkPolicy.dns }}
- {{ with $dns.to }}to: {{- toYaml . | nindent 2 }}
  {{ end }}ports:
  {{- range $dns.ports }}
  - {protocol: UDP, port: {{ . }}}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
{{- end }}

{{- define "kubernaut.databaseEgress" -}}
{{- include "kubernaut.egress" (dict "to" .Values.networkPolicy.postgresql.to "ports" (list .Values.postgresql.port)) }}
{{- end }}

{{/* The port that an address of a collector names, or that its scheme has. Takes the root. */}}
{{- define "kubernaut.tracingPort" -}}
{{- $url := urlParse .Values.tracing.endpoint }}
{{- $found := regexFind ":[0-9]+$" $url.host | trimPrefix ":" }}
{{- $found | default (eq $url.scheme "https" | ternary "443" "80") }}
{{- end }}

{{/* Takes what `kubernaut.service` makes. */}}
{{- define "kubernaut.networkPolicy" -}}
{{- $policy := .root.Values.networkPolicy }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "kubernaut.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "kubernaut.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- /* The probes of the kubelet are always let in. */}}
  {{- with $policy.metricsFrom }}
  ingress:
  - from: {{- toYaml . | nindent 4 }}
    ports:
    - {protocol: TCP, port: metrics}
  {{- end }}
  egress:
  {{- include "kubernaut.dnsEgress" .root | trim | nindent 2 }}
  {{- include "kubernaut.egress" $policy.nats | trim | nindent 2 }}
  {{- if .usesDatabase }}
  {{- include "kubernaut.databaseEgress" .root | trim | nindent 2 }}
  {{- end }}
  {{- if .usesApi }}
  {{- include "kubernaut.egress" $policy.kubernetesApi | trim | nindent 2 }}
  {{- end }}
  {{- if .values.clustersSecret }}
  {{- include "kubernaut.egress" $policy.otherClusters | trim | nindent 2 }}
  {{- end }}
  {{- if .root.Values.tracing.endpoint }}
  {{- $port := include "kubernaut.tracingPort" .root | int }}
  {{- include "kubernaut.egress" (dict "to" $policy.tracing.to "ports" (list $port)) | trim | nindent 2 }}
  {{- end }}
{{- end }}
