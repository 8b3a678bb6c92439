{{/* Names, labels, image. Each define takes the root, unless it says what else. */}}

{{- define "kubernaut.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 45 characters: the longest that is put behind it still fits into a name of 63. */}}
{{- define "kubernaut.fullname" -}}
{{- $name := contains "kubernaut" .Release.Name | ternary .Release.Name (printf "%s-kubernaut" .Release.Name) }}
{{- .Values.fullnameOverride | default $name | trunc 45 | trimSuffix "-" }}
{{- end }}

{{/* Labels of every object. Takes root and component. */}}
{{- define "kubernaut.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: kubernaut-workflow
{{ include "kubernaut.selectorLabels" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What selects the pods of one component, or of the whole release where none is named. Never changes. */}}
{{- define "kubernaut.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kubernaut.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "kubernaut.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}
