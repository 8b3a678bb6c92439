{{/* Rules come from schemas/rbac.py, by files/rbac. */}}

{{/* The roles of a file, as a list: all of its rights, and the part of them that must be bound in the whole cluster, if
they are not all so (`wide`). Without `metrics.auth` nobody asks who a scrape is, so those rights are left out. Takes root and role. */}}
{{- define "kubernaut.roles" -}}
{{- $unasked := list }}
{{- if not .root.Values.metrics.auth.enabled }}
{{- $unasked = eq .role "executor-bridge" | ternary (list "tokenreviews") (list "tokenreviews" "subjectaccessreviews") }}
{{- end }}
{{- $roles := list }}
{{- $documents := splitList "\n---\n" (.root.Files.Get (printf "files/rbac/kubernaut-%s.yaml" .role)) }}
{{- range $documents }}
{{- $role := fromYaml . }}
{{- $rules := list }}
{{- range $role.rules }}
{{- if not (has (first (.resources | default (list ""))) $unasked) }}
{{- $rules = append $rules . }}
{{- end }}
{{- end }}
{{- if $rules }}
{{- $part := hasSuffix "-cluster" $role.metadata.name }}
{{- $wide := or $part (eq (len $documents) 1) }}
{{- $roles = append $roles (dict "part" $part "wide" $wide "labels" $role.metadata.labels "rules" $rules) }}
{{- end }}
{{- end }}
{{- toYaml $roles }}
{{- end }}

{{/* Takes root, component, name and rules; labels, of the role's own, may be given. */}}
{{- define "kubernaut.clusterRole" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .name }}
  labels:
    {{- include "kubernaut.labels" . | nindent 4 }}
    {{- range $name, $value := .labels }}
    {{- if hasPrefix "rbac.authorization.k8s.io/aggregate-to-" $name }}
    {{ $name }}: {{ $value | quote }}
    {{- end }}
    {{- end }}
rules: {{- toYaml .rules | nindent 0 }}
{{- end }}

{{/* Binds a ClusterRole to the ServiceAccount of a component, in one namespace if one is given. Takes root, component, name,
account and namespace. */}}
{{- define "kubernaut.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if .namespace }}RoleBinding{{ else }}ClusterRoleBinding{{ end }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "kubernaut.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .name }}}
subjects:
- {kind: ServiceAccount, name: {{ .account }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}
